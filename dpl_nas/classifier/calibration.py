"""Whether probabilities mean what they say, and how they are made to: one temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

__all__ = ["Bin", "calibration_error", "fit_temperature", "reliability", "unknown_threshold"]

#: The field's number of bins (Guo et al. 2017).
_BINS = 15
_STEPS = 100
#: Logarithms of the smallest and the largest temperature.
_RANGE = (math.log(0.01), math.log(100.0))


@dataclass(frozen=True)
class Bin:
    """Pictures whose most likely class has a probability in ``low`` to ``high``.

    Attributes
    ----------
    confidence, accuracy
        Mean probability of the most likely class, and the share in 0..1 of these that are right.
    count
        Number of pictures, at least 1.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature by which to divide logits, so that probabilities are calibrated.

    It has the highest likelihood of the labels (Guo et al. 2017, arXiv 1706.04599). A share of
    1 / (images + 1) of each label counts as drawn from all classes: else a few images that are all
    right would make it sure of everything. The order of classes stays. Use logits of images that
    were not trained on.

    Parameters
    ----------
    logits, labels
        ``(images, classes)`` and ``(images,)``.

    Returns
    -------
    float
        Between 0.01 and 100.
    """
    wide, labels = logits.double(), labels.long().to(logits.device)
    share = 1 / (len(labels) + 1)

    def loss(log_temperature: float) -> float:
        scaled = wide / math.exp(log_temperature)
        return float(functional.cross_entropy(scaled, labels, label_smoothing=share))

    # The loss has one minimum in 1 / temperature, and so in its logarithm.
    low, high = _RANGE
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) <= loss(b):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def reliability(probabilities: Tensor, labels: Tensor, bins: int = _BINS) -> list[Bin]:
    """Return bins of equal width in which there are pictures: the reliability curve.

    Parameters
    ----------
    probabilities, labels
        ``(images, classes)`` and ``(images,)``.
    """
    confidence, predicted = probabilities.double().max(dim=1)
    right = predicted == labels.to(predicted.device)
    places = (confidence * bins).ceil().long().clamp(1, bins) - 1
    found = []
    for place in range(bins):
        inside = places == place
        if count := int(inside.sum()):
            found.append(
                Bin(
                    place / bins,
                    (place + 1) / bins,
                    float(confidence[inside].mean()),
                    float(right[inside].double().mean()),
                    count,
                )
            )
    return found


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = _BINS) -> float:
    """Return the expected calibration error, in 0..1 (Naeini et al. 2015).

    The mean over pictures of the distance of accuracy and confidence in their bin.
    """
    found = reliability(probabilities, labels, bins)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in found) / total


def unknown_threshold(confidences: Sequence[float], share: float) -> float:
    """Return the confidence below which a picture is called unknown.

    Split conformal prediction (Vovk et al. 2005): of pictures that are exchangeable with those of
    ``confidences``, at most the ``share`` are called unknown, on the mean over draws of both.

    Parameters
    ----------
    confidences
        Probability of the most likely class of pictures that were not trained on.
    share
        In 0..1.

    Returns
    -------
    float
        Minus infinity if there are too few pictures to promise so small a share: then none is
        called unknown.
    """
    ordered = sorted(confidences)
    rank = math.floor(share * (len(ordered) + 1))
    return ordered[rank - 1] if rank >= 1 else -math.inf
