"""Teachers in training: zero-shot CLIP, with means over all templates."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.prompted import PromptedCLIP

__all__ = ["Teacher", "ZeroShotTeacher", "ensemble_features"]


class Teacher(Protocol):
    """A source of opinions on images that a loss compares with; training does not change it."""

    def opinions(self, images: Tensor) -> Tensor:
        """``(batch, ...)`` of preprocessed images (batch, 3, S, S), without a gradient."""


@torch.no_grad()
def ensemble_features(
    model: PromptedCLIP, templates: tuple[str, ...], class_names: tuple[str, ...]
) -> Tensor:
    """Class features (classes, embed) of unit length: the mean over templates of unit features.

    The zero-shot ensemble of Radford et al. 2021, section 3.1.4.
    """
    total: Tensor | None = None
    for template in templates:
        captions = [template.replace("{}", name) for name in class_names]
        inputs = model.backbone.text_inputs(captions).to(model.backbone.device)
        features = functional.normalize(model.encode_text(inputs).float(), dim=-1)
        total = features if total is None else total + features
    if total is None:
        raise ValueError("expected at least one template")
    return functional.normalize(total, dim=-1)


class ZeroShotTeacher:
    """The plain backbone, whose opinions are its logits (batch, classes)."""

    def __init__(
        self, backbone: Backbone, templates: tuple[str, ...], class_names: tuple[str, ...]
    ) -> None:
        self._model = PromptedCLIP(backbone, {})
        self._text = ensemble_features(self._model, templates, class_names)

    @torch.no_grad()
    def opinions(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of preprocessed images (batch, 3, S, S)."""
        return self._model.logits(self._model.encode_image(images), self._text)
