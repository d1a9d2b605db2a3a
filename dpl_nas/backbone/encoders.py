"""Which adapter a model's towers have, and why a tower has none."""

from __future__ import annotations

from typing import Any

from open_clip import CLIP, CoCa, CustomTextCLIP
from open_clip.hf_model import HFTextEncoder
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, VisionTransformer
from timm.models.fastvit import FastVit
from torch import Tensor, nn

from dpl_nas.backbone.fastvit_tower import FastVitImage, objection_to_stages
from dpl_nas.backbone.hugging_face_towers import HuggingFaceText, objection_to_encoder
from dpl_nas.backbone.open_clip_towers import OpenClipImage, OpenClipText
from dpl_nas.backbone.plain_towers import PlainImage, PlainText
from dpl_nas.backbone.timm_towers import TimmImage, objection_to_trunk
from dpl_nas.backbone.towers import ClassesBy, ImageTower, TextTower
from dpl_nas.errors import BackboneError
from dpl_nas.space import Tower

__all__ = ["OpenClip", "image_tower", "objection_to_image", "objection_to_text", "text_tower"]


class OpenClip:
    """A model of open_clip, or one built from its modules, such as the embedded one.

    A tower that cannot carry context vectors is used as it is; the other is searched.

    Parameters
    ----------
    model
        The model.
    name
        Name of the model, for messages.

    Attributes
    ----------
    plain
        Why a tower cannot carry context vectors, if one cannot.

    Raises
    ------
    BackboneError
        If neither tower can carry context vectors.
    """

    def __init__(self, model: CLIP | CustomTextCLIP | CoCa, name: str) -> None:
        text = getattr(model, "text", model)
        no_image, no_text = objection_to_image(model.visual), objection_to_text(text)
        if no_image and no_text:
            raise BackboneError(f"{name} cannot carry context vectors: {no_image} and {no_text}")
        self.classes_by: ClassesBy = "captions"
        self.plain: dict[Tower, str] = {}
        if no_image:
            self.plain["image"] = no_image
        if no_text:
            self.plain["text"] = no_text
        self._model: Any = model
        self.module: nn.Module = model
        self.image: ImageTower = (
            PlainImage(_Features(model.visual), _size(model.visual), _embed(text))
            if no_image
            else image_tower(model.visual)
        )
        self.text: TextTower = (
            PlainText(_Features(text), _embed(text)) if no_text else text_tower(text)
        )

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor on cosine similarities."""
        scale: Tensor = self._model.logit_scale
        return scale

    @property
    def logit_bias(self) -> Tensor | None:
        """What a sigmoid model adds to all logits."""
        bias: Tensor | None = getattr(self._model, "logit_bias", None)
        return bias


def objection_to_image(visual: nn.Module) -> str | None:
    """Return why an image tower cannot carry context vectors, or ``None``."""
    if isinstance(visual, TimmModel):
        fast = isinstance(visual.trunk, FastVit)
        return objection_to_stages(visual.trunk) if fast else objection_to_trunk(visual.trunk)
    if not isinstance(visual, VisionTransformer):
        return f"its image tower is a {type(visual).__name__}, without layers of attention"
    if visual.pool_type not in ("tok", "avg") and visual.attn_pool is None:
        return f"its image tower pools by {visual.pool_type}, not by tok or avg"
    return _objection_to_blocks("image", visual.transformer.resblocks)


def objection_to_text(text: nn.Module) -> str | None:
    """Return why a text tower cannot carry context vectors, or ``None``."""
    if isinstance(text, HFTextEncoder):
        return objection_to_encoder(text)
    if not isinstance(text, (CLIP, TextTransformer)):
        return f"its text tower is a {type(text).__name__}"
    return _objection_to_blocks("text", text.transformer.resblocks)


def image_tower(visual: Any) -> ImageTower:
    """Return the adapter of an image tower to which there is no objection."""
    if isinstance(visual, TimmModel) and isinstance(visual.trunk, FastVit):
        return FastVitImage(visual.trunk, _size(visual), visual.head)
    if isinstance(visual, TimmModel):
        return TimmImage(visual.trunk, _size(visual), visual.head)
    return OpenClipImage(visual)


def text_tower(text: Any) -> TextTower:
    """Return the adapter of a text tower to which there is no objection.

    Its parts belong to a submodule, or in the older of two layouts to the model itself.
    """
    return HuggingFaceText(text) if isinstance(text, HFTextEncoder) else OpenClipText(text)


def _objection_to_blocks(tower: Tower, blocks: nn.ModuleList) -> str | None:
    other = [type(each).__name__ for each in blocks if type(each) is not ResidualAttentionBlock]
    return f"its {tower} tower has blocks of open_clip's {other[0]}" if other else None


def _size(visual: Any) -> tuple[int, int]:
    size = visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    return int(height), int(width)


def _embed(text: Any) -> int:
    """The size of the features that both towers have."""
    projection = getattr(text, "text_projection", None)
    if isinstance(projection, nn.Linear):
        return int(projection.out_features)
    if isinstance(projection, Tensor):
        return int(projection.shape[1])
    size = getattr(text, "output_dim", None)
    return int(text.transformer.width if size is None else size)


class _Features(nn.Module):
    """The features of a tower that returns its tokens, too."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self._tower = tower

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, embed)."""
        found = self._tower(x)
        features: Tensor = found[0] if isinstance(found, tuple) else found
        return features
