"""Models of images alone, whose classes have features in the place of captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from open_clip.transformer import VisionTransformer as OpenClipTransformer
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dpl_nas.backbone.encoders import image_tower, objection_to_image
from dpl_nas.backbone.one_tower import OneTower
from dpl_nas.backbone.plain_towers import ClassRows
from dpl_nas.backbone.timm_towers import TimmImage, objection_to_trunk
from dpl_nas.backbone.towers import ClassesBy, ImageTower, TextTower
from dpl_nas.space import Tower

__all__ = ["NO_TEXT", "SCALE", "VisionOnly", "objection_to_vision", "vision_tower"]

#: Factor of cosines to class features, which no such model has learned.
SCALE = 30.0

#: Why the text tower has no layers.
NO_TEXT = "it is a model of images alone"


class VisionOnly(OneTower):
    """A vision transformer of timm, or the image tower of a CLIP on its own.

    Parameters
    ----------
    model
        The model; a classifier that it ends with is left out.
    name
        Name of the model, for messages.

    Raises
    ------
    BackboneError
        If it cannot carry context vectors.
    """

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__(model, name, objection_to_vision(model), SCALE)
        self.classes_by: ClassesBy = "means"
        self.plain: Mapping[Tower, str] = {"text": NO_TEXT}
        self.image: ImageTower = vision_tower(model)
        self.text: TextTower = ClassRows(_embed(model))


def objection_to_vision(model: nn.Module) -> str | None:
    """Return why a model of images alone cannot carry context vectors, or ``None``."""
    if isinstance(model, OpenClipTransformer):
        return objection_to_image(model)
    if isinstance(model, (VisionTransformer, Eva)):
        if model.patch_embed.img_size is None:
            return "it has no image size of its own"
        return objection_to_trunk(model)
    return (
        f"it is a {type(model).__name__}, neither a CLIP of open_clip nor a vision transformer of "
        "timm"
    )


def vision_tower(model: nn.Module) -> ImageTower:
    """Return the adapter of a model to which there is no objection."""
    if isinstance(model, (VisionTransformer, Eva)):
        height, width = model.patch_embed.img_size
        return TimmImage(model, (int(height), int(width)), classifies=True)
    return image_tower(model)


def _embed(model: Any) -> int:
    """The size of the features."""
    if isinstance(model, (VisionTransformer, Eva)):
        return int(model.head_hidden_size)
    if isinstance(model, OpenClipTransformer) and model.proj is not None:
        return int(model.proj.shape[1])
    return int(model.transformer.width)
