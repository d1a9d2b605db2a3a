"""Vision transformers of timm by name, with weights of a tag, of a file, or at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from timm.models import is_model, list_pretrained
from torch import Tensor, nn

from dpl_nas.backbone.checkpoint import fill, read_weights
from dpl_nas.backbone.vision import objection_to_vision
from dpl_nas.backbone_config import TIMM
from dpl_nas.errors import BackboneError, join_lines, shorten
from dpl_nas.io.suggestions import closest

__all__ = ["build_timm", "load_timm", "timm_transform"]

#: One number per channel.
RGB = tuple[float, float, float]


def build_timm(name: str) -> nn.Module:
    """Build the model of a name such as ``timm:vit_small_patch16_224``, without its classifier.

    Its weights are drawn from torch's global generator.

    Raises
    ------
    BackboneError
        If timm does not know it, or it cannot carry context vectors.
    """
    model: nn.Module = timm.create_model(_known(name), num_classes=0)
    objection = objection_to_vision(model)
    if objection:
        raise BackboneError(f"{name} cannot be the backbone, since {objection}")
    return model


def load_timm(name: str, pretrained: Path | None) -> nn.Module:
    """Return a model with the weights of a file, or of its tag, which is downloaded once.

    Raises
    ------
    BackboneError
        If timm does not know the name, or its weights cannot be found.
    CheckpointError
        If the file is damaged or of another model.
    """
    with torch.random.fork_rng(devices=[]):
        model = build_timm(name)
    if pretrained is None:
        return _published(name)
    weights = read_weights(pretrained)
    fill(
        model,
        replace(weights, tensors=_without_head(weights.tensors, model)),
        str(pretrained),
        name,
    )
    return model


def timm_transform(model: nn.Module, mean: RGB | None = None, std: RGB | None = None) -> Any:
    """Return the test-time transform that timm has for a model, or with others' normalisation."""
    asked = {"mean": mean, "std": std}
    known: dict[str, Any] = resolve_data_config({}, model=model)  # type: ignore[no-untyped-call]
    # A model may be built for another size than its weights are published for.
    size: Any = model.patch_embed.img_size  # type: ignore[union-attr]
    known["input_size"] = (3, *size)
    return create_transform(**known | {key: value for key, value in asked.items() if value})


def _published(name: str) -> nn.Module:
    known = _known(name)
    remedy = "set space.backbone.pretrained to the path of a file, or random"
    if not list_pretrained(known.partition(".")[0]):
        raise BackboneError(f"{name} needs weights, and timm has none of it: {remedy}")
    try:
        model: nn.Module = timm.create_model(known, pretrained=True, num_classes=0)
    except Exception as error:
        # Each transport raises its own errors.
        raise BackboneError(
            f"the weights of {name} could not be downloaded "
            f"({shorten(join_lines(str(error)))}): download them on a machine with a network, and "
            f"{remedy}"
        ) from error
    return model


def _known(name: str) -> str:
    """Return timm's own name of a model, also with a tag of its weights, if timm knows both."""
    known = name.removeprefix(TIMM)
    architecture, _, tag = known.partition(".")
    # A colon would make timm look elsewhere.
    if ":" in known or not is_model(architecture):
        close = closest(architecture, timm.list_models())
        raise BackboneError(
            f"{shorten(name)} cannot be the backbone, since timm does not know it"
            f"{f' (did you mean {TIMM}{close}?)' if close else ''}: give timm:MODEL or "
            "timm:MODEL.TAG"
        )
    tags = [each.partition(".")[2] for each in list_pretrained(architecture)]
    if tag and tag not in tags:
        told = f"it has {', '.join(tags)}" if tags else "it has none"
        raise BackboneError(f"{architecture} of timm has no weights {tag}: {told}")
    return known


def _without_head(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Leave out a classifier, and what only pre-training needs."""
    known = model.state_dict()
    return {
        name: value
        for name, value in tensors.items()
        if name in known or not name.startswith(("head.", "mask_token"))
    }
