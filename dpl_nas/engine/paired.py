"""Two trials on the same validation images."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dpl_nas.engine.evaluation import Outcome

__all__ = ["Difference", "paired_difference", "standard_error"]


@dataclass(frozen=True)
class Difference:
    """How far one trial is ahead of another: means over the images, with standard errors.

    Attributes
    ----------
    accuracy, accuracy_error
        Difference of the accuracies, shares in -1..1.
    log_likelihood, log_likelihood_error
        Difference of the mean log-likelihoods, in nats.
    score, score_error
        Difference of the scores (:func:`~dpl_nas.validation_score.validation_score`).
    """

    accuracy: float
    accuracy_error: float
    log_likelihood: float
    log_likelihood_error: float
    score: float
    score_error: float


def paired_difference(one: Outcome, other: Outcome) -> Difference | None:
    """Compare two trials image by image; ``None`` if their images are not known or too few.

    What is hard or easy in an image is so for both, so the error of the difference is smaller than
    that of either accuracy.
    """
    count = len(one.right)
    if count < 2 or not count == len(other.right) == len(one.losses) == len(other.losses):
        return None
    accuracy = [int(a) - int(b) for a, b in zip(one.right, other.right, strict=True)]
    likelihood = [b - a for a, b in zip(one.losses, other.losses, strict=True)]
    score = [float(a + b) for a, b in zip(accuracy, likelihood, strict=True)]
    return Difference(
        statistics.fmean(accuracy),
        standard_error(accuracy),
        statistics.fmean(likelihood),
        standard_error(likelihood),
        statistics.fmean(score),
        standard_error(score),
    )


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean of two values or more."""
    return statistics.stdev(values) / math.sqrt(len(values))
