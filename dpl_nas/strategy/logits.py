"""Logits of a layer's lengths, which the alphas are: probabilities, entropy and ties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["TIE_MARGIN", "log_softmax", "normalised_entropy", "softmax", "tied"]

#: A layer is called tied when the runner-up's probability is this close to the winner's.
TIE_MARGIN = 0.01


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities of a few logits."""
    peak = max(logits)
    weights = [math.exp(value - peak) for value in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Logarithms of the probabilities of a few logits, finite even if these round to 0."""
    peak = max(logits)
    total = math.log(math.fsum(math.exp(value - peak) for value in logits))
    return [value - peak - total for value in logits]


def normalised_entropy(logits: Sequence[float]) -> float:
    """Entropy of softmax(logits) over its maximum, log(candidates); 0 for one candidate."""
    if len(logits) < 2:
        return 0.0
    entropy = -sum(p * math.log(p) for p in softmax(logits) if p > 0)
    return entropy / math.log(len(logits))


def tied(alphas: Mapping[str, Sequence[float]]) -> list[str]:
    """Labels whose two most likely candidates are within :data:`TIE_MARGIN`."""
    result = []
    for label, logits in alphas.items():
        best = sorted(softmax(logits), reverse=True)
        if len(best) > 1 and best[0] - best[1] < TIE_MARGIN:
            result.append(label)
    return result
