"""The last step of a classifier: linear in the image features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.io.reprs import short_repr
from dpl_nas.training.losses import weighted_cross_entropy

__all__ = ["LinearHead", "fit_head"]

_STEPS = 200


@dataclass(frozen=True)
class LinearHead:
    """Logits that are linear in image features of length 1.

    Attributes
    ----------
    weights, bias
        ``(classes, embed)`` and ``(classes,)``, float32.
    """

    weights: Tensor
    bias: Tensor

    __repr__ = short_repr

    @classmethod
    def of_captions(cls, text_features: Tensor, scale: float) -> LinearHead:
        """The head of a CLIP: ``scale`` times the cosine to text features (classes, embed)."""
        weights = scale * functional.normalize(text_features.float(), dim=-1)
        return cls(weights, torch.zeros(len(weights), device=weights.device))

    def to(self, device: torch.device | str) -> LinearHead:
        """Return the head on a device."""
        return LinearHead(self.weights.to(device), self.bias.to(device))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (batch, classes) of image features (batch, embed) of any length."""
        unit = functional.normalize(features.float(), dim=-1)
        return unit @ self.weights.T + self.bias


def fit_head(
    features: Tensor,
    labels: Tensor,
    prior: LinearHead,
    strength: float,
    weights: Tensor | None = None,
) -> LinearHead:
    """Fit a head to labelled image features: logistic regression that stays near a prior.

    Minimises the mean cross-entropy plus ``strength / 2`` times the squared distance of weights and
    bias to those of the prior. With a prior of zeros it is the linear probe; with the captions as a
    prior, what the pictures do not say is left to the captions (as CLAP, Silva-Rodriguez et al.
    2024, arXiv 2312.12730).

    Parameters
    ----------
    features, labels
        ``(images, embed)`` of any length, and ``(images,)``.
    strength
        Above 0.
    weights
        Weight of each class (classes,) in the cross-entropy.
    """
    unit = functional.normalize(features.double(), dim=-1)
    labels = labels.long().to(unit.device)
    heavy = None if weights is None else weights.double().to(unit.device)
    start = prior.weights.double().to(unit.device)
    slopes = start.clone().requires_grad_()
    level = prior.bias.double().to(unit.device)
    bias = level.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [slopes, bias],
        max_iter=_STEPS,
        tolerance_grad=1e-8,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = weighted_cross_entropy(unit @ slopes.T + bias, labels, heavy)
        # Without a bound, the bias of a class without pictures would be minus infinity.
        away = (slopes - start).square().sum() + (bias - level).square().sum()
        found = found + strength / 2 * away
        found.backward()
        return found

    optimizer.step(loss)
    return LinearHead(slopes.detach().float(), bias.detach().float())
