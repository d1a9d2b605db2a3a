"""What models can carry, without their weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import open_clip
import torch
from open_clip.model import _build_text_tower, _build_vision_tower

from dpl_nas.backbone.decoders import Decoder
from dpl_nas.backbone.encoders import image_tower, objection_to_image, objection_to_text, text_tower
from dpl_nas.backbone.language import NO_IMAGES
from dpl_nas.backbone.language_models import build_decoder
from dpl_nas.backbone.models import Model, find_model
from dpl_nas.backbone.timm_models import build_timm
from dpl_nas.backbone.vision import NO_TEXT, vision_tower
from dpl_nas.backbone_config import EMBEDDED, EMBEDDED_LANGUAGE, EMBEDDED_VISION, HUGGING_FACE, TIMM
from dpl_nas.errors import BackboneError, join_lines, shorten
from dpl_nas.io.reprs import short_repr
from dpl_nas.space import TOWERS, Tower

__all__ = [
    "ModelFacts",
    "TowerFacts",
    "list_models",
    "model_facts",
    "model_names",
    "tower_depths",
]

#: Layers and width of the encoders that open_clip's configurations name: what they are is on the
#: Hub, and needs transformers.
_HUGGING_FACE = {
    "roberta-base": (12, 768),
    "xlm-roberta-base": (12, 768),
    "xlm-roberta-large": (24, 1024),
    "google/mt5-base": (12, 768),
    "google/mt5-xl": (24, 2048),
    "facebook/nllb-200-distilled-600M": (12, 1024),
    "facebook/nllb-200-distilled-1.3B": (24, 1024),
}


@dataclass(frozen=True)
class TowerFacts:
    """What a tower of a model is.

    Attributes
    ----------
    layers, width
        Number of layers that can be searched, and width of context vectors; 0 if there are none.
    reason
        Why there are none; empty if there are some.
    """

    layers: int
    width: int
    reason: str = ""


@dataclass(frozen=True)
class ModelFacts:
    """What both towers of a model are.

    Attributes
    ----------
    name
        Name of the model in open_clip.
    """

    name: str
    towers: Mapping[Tower, TowerFacts]

    __repr__ = short_repr

    @property
    def searchable(self) -> tuple[Tower, ...]:
        """Towers that can carry context vectors."""
        return tuple(tower for tower, facts in self.towers.items() if not facts.reason)

    @property
    def depths(self) -> dict[Tower, int]:
        """Number of layers of each tower that can be searched."""
        return {tower: facts.layers for tower, facts in self.towers.items()}

    @property
    def objection(self) -> str:
        """Why neither tower can; empty if one can."""
        return "" if self.searchable else " and ".join(each.reason for each in self.towers.values())


def model_names() -> list[str]:
    """Return the names of the embedded models and of all of open_clip's."""
    return [EMBEDDED, EMBEDDED_VISION, EMBEDDED_LANGUAGE, *open_clip.list_models()]


def list_models() -> Iterator[ModelFacts]:
    """Yield what each of these is; building their towers takes half a minute in all."""
    yield from map(model_facts, model_names())


def model_facts(model: str) -> ModelFacts:
    """Return what a model is, without loading its weights.

    Raises
    ------
    BackboneError
        If open_clip or timm does not know the model.
    """
    if model == EMBEDDED:
        return ModelFacts(model, dict.fromkeys(TOWERS, _embedded()))
    if model == EMBEDDED_VISION:
        return _vision_facts(model, _embedded())
    if model.startswith(TIMM):
        with torch.device("meta"):
            tower = vision_tower(build_timm(model))
        return _vision_facts(model, _of(tower))
    if model == EMBEDDED_LANGUAGE:
        from dpl_nas.glosses.model import LAYERS, WIDTH

        towers: dict[Tower, TowerFacts] = {
            "image": TowerFacts(0, 0, NO_IMAGES),
            "text": TowerFacts(LAYERS, WIDTH),
        }
        return ModelFacts(model, towers)
    if model.startswith(HUGGING_FACE):
        with torch.device("meta"):
            decoder = Decoder(build_decoder(model))
        return ModelFacts(model, {"image": TowerFacts(0, 0, NO_IMAGES), "text": _of(decoder)})
    return _facts(find_model(model))


def _embedded() -> TowerFacts:
    from dpl_nas.mini.model import MINI_CONFIG

    return TowerFacts(MINI_CONFIG.layers, MINI_CONFIG.width)


def _vision_facts(model: str, image: TowerFacts) -> ModelFacts:
    return ModelFacts(model, {"image": image, "text": TowerFacts(0, 0, NO_TEXT)})


def tower_depths(model: str) -> dict[Tower, int]:
    """Return the number of layers of each tower of a model, without loading its weights.

    Raises
    ------
    BackboneError
        If the model is unknown, or neither of its towers can carry context vectors.
    """
    facts = model_facts(model)
    if facts.objection:
        raise BackboneError(
            f"{model} cannot be the backbone, since {facts.objection}: dpl-nas backbones lists "
            "those that can"
        )
    return facts.depths


def _facts(model: Model) -> ModelFacts:
    config = model.config
    embed = int(config["embed_dim"])
    return ModelFacts(
        model.name,
        {
            "image": _tower("image", embed, json.dumps(config["vision_cfg"], sort_keys=True)),
            "text": _tower("text", embed, json.dumps(config["text_cfg"], sort_keys=True)),
        },
    )


@lru_cache(maxsize=512)
def _tower(tower: Tower, embed: int, text: str) -> TowerFacts:
    """Build a tower without memory for its weights, and look."""
    config = json.loads(text)
    named = config.get("hf_model_name")
    if named in _HUGGING_FACE:
        return TowerFacts(*_HUGGING_FACE[named])
    with torch.device("meta"):
        if tower == "image":
            visual = _build_vision_tower(embed, config | {"timm_model_pretrained": False})
            reason = objection_to_image(visual)
            return TowerFacts(0, 0, reason) if reason else _of(image_tower(visual))
        try:
            built = _build_text_tower(embed, config | {"hf_model_pretrained": False})
        except (RuntimeError, OSError, ValueError) as error:
            # transformers is missing, or nothing is known of the name here.
            told = shorten(join_lines(str(error)))
            return TowerFacts(0, 0, f"its text tower is Hugging Face's {named}: {told}")
        reason = objection_to_text(built)
        return TowerFacts(0, 0, reason) if reason else _of(text_tower(built))


def _of(tower: Any) -> TowerFacts:
    return TowerFacts(len(tower.blocks), tower.width)
