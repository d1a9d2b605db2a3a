"""A classifier in use: what answers for images, and a temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.classifier.head import LinearHead
from dpl_nas.io.reprs import short_repr
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.training.evaluation import Scorer

__all__ = ["Headed", "ImageClassifier"]


@dataclass(frozen=True)
class Headed:
    """A linear head on the features of an image tower; the text tower is not needed.

    Attributes
    ----------
    model
        CLIP whose image tower may be adapted; that is folded.
    """

    model: AdaptedCLIP
    head: LinearHead

    __repr__ = short_repr

    def with_path(self, path: KernelPath) -> Headed:
        """Return the same with another implementation of attention."""
        return replace(self, model=self.model.with_path(path))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of preprocessed images (batch, 3, S, S)."""
        return self.head.logits(self.model.encode_image(images))

    def predict(self, images: Tensor) -> Tensor:
        """Return the class index (batch,) of the same."""
        return self.logits(images).argmax(dim=-1)


@dataclass(frozen=True)
class ImageClassifier:
    """Classifies images, and says how sure it is.

    Attributes
    ----------
    scorer
        Answers for images: a head on an image tower, or a method in use.
    temperature
        Number by which logits are divided, so that probabilities are calibrated.
    """

    backbone: Backbone
    scorer: Scorer
    temperature: float = 1.0

    __repr__ = short_repr

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of preprocessed images (batch, 3, S, S)."""
        return self.scorer.logits(images)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return calibrated probabilities (batch, classes) of the same."""
        return (self.logits(images) / self.temperature).softmax(dim=-1)
