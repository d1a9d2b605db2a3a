"""A classifier in use: an image tower with context vectors, a linear head, a temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.classifier.head import LinearHead
from dpl_nas.io.reprs import short_repr
from dpl_nas.prompted import Context, ImageStates, PromptedCLIP
from dpl_nas.training.model import load_context_vectors

__all__ = ["ImageClassifier"]


@dataclass(frozen=True)
class ImageClassifier:
    """Classifies images without the text tower, whose class features are in the head.

    Attributes
    ----------
    model
        CLIP whose image tower may have context vectors; they are folded.
    head
        Head on its image features.
    temperature
        Number by which logits are divided, so that probabilities are calibrated.
    """

    model: PromptedCLIP
    head: LinearHead
    temperature: float = 1.0

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        vectors: Mapping[str, Tensor],
        head: LinearHead,
        temperature: float = 1.0,
    ) -> Self:
        """Build it of context vectors (length, width) by ``tower/layer``.

        Those of the text tower are not used.

        Raises
        ------
        ArchitectureError
            If they do not fit the backbone.
        """
        own: dict[int, Context] = {}
        for name, value in vectors.items():
            tower, layer = name.split("/")
            if tower == "image":
                own[int(layer)] = Context(*value.shape)
        model = PromptedCLIP(backbone, {"image": own} if own else {}).to(backbone.device)
        load_context_vectors(model, vectors)
        head = LinearHead(head.weights.to(backbone.device), head.bias.to(backbone.device))
        return cls(model.fold(), head, temperature)

    @torch.no_grad()
    def logits(self, images: Tensor | ImageStates) -> Tensor:
        """Return logits (batch, classes) of preprocessed images (batch, 3, S, S)."""
        return self.head.logits(self.model.encode_image(images))

    def probabilities(self, images: Tensor | ImageStates) -> Tensor:
        """Return calibrated probabilities (batch, classes) of the same."""
        return (self.logits(images) / self.temperature).softmax(dim=-1)
