"""The result of a trial, and its cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dpl_nas.engine.cost import Cost
from dpl_nas.io.reprs import short_repr
from dpl_nas.space import Architecture
from dpl_nas.validation_score import validation_score

__all__ = [
    "Evaluation",
    "Outcome",
    "best_of",
    "best_so_far",
    "pareto_front",
    "right_as_text",
    "right_from_text",
    "whole_trials",
]


def right_as_text(right: Iterable[bool]) -> str:
    """Return :attr:`Outcome.right` as files have it: a digit 1 or 0 for each image."""
    return "".join(str(int(each)) for each in right)


def right_from_text(text: str) -> tuple[bool, ...]:
    """Return what :func:`right_as_text` wrote.

    Raises
    ------
    ValueError
        If there is something else than digits 0 and 1.
    """
    if set(text) - {"0", "1"}:
        raise ValueError(f"expected digits 0 and 1, found {text!r}")
    return tuple(each == "1" for each in text)


@dataclass(frozen=True)
class Outcome:
    """The accuracy, a share in 0..1, and the cross-entropy on ``images`` validation images.

    Attributes
    ----------
    right, losses
        For each image whether it was classified rightly, and its cross-entropy; empty if only
        the means are known.
    """

    accuracy: float
    loss: float
    images: int
    right: tuple[bool, ...] = ()
    losses: tuple[float, ...] = ()

    __repr__ = short_repr

    @property
    def score(self) -> float:
        """The number to maximise: :func:`~dpl_nas.validation_score.validation_score`."""
        return validation_score(self.accuracy, self.loss)


@dataclass(frozen=True)
class Evaluation:
    """One trial: an architecture, trained for ``epochs`` and validated.

    Attributes
    ----------
    number
        Number of the trial, from 0 in the order in which the search saw them.
    outcome
        Result of the validation; ``None`` if the trial failed, and ``error`` says why.
    cost
        Cost of this trial, without the epochs that an earlier one had trained already.
    spent
        Total cost of the search when it saw this trial, this trial included.
    peak_bytes
        Peak memory of its process up to its end.
    """

    number: int
    architecture: Architecture
    epochs: int
    outcome: Outcome | None
    cost: Cost
    spent: Cost
    peak_bytes: int
    error: str | None = None

    __repr__ = short_repr

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy in 0..1."""
        return None if self.outcome is None else self.outcome.accuracy

    @property
    def score(self) -> float:
        """The :attr:`Outcome.score`; minus infinity if the trial failed."""
        return -math.inf if self.outcome is None else self.outcome.score

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        outcome = self.outcome
        return {
            "number": self.number,
            "lengths": self.architecture.plain_lengths(),
            "vectors": self.architecture.vectors,
            "epochs": self.epochs,
            "accuracy": outcome and outcome.accuracy,
            "loss": outcome and outcome.loss,
            "steps": self.cost.steps,
            "images": self.cost.images,
            "seconds": self.cost.seconds,
            "spent_steps": self.spent.steps,
            "spent_seconds": self.spent.seconds,
            "peak_bytes": self.peak_bytes,
            "error": self.error,
        }


def whole_trials(evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Trials that ended well and have the most epochs among these, the best first.

    A short training says less than a whole one. If scores are equal, fewer context vectors come
    first, then the earlier trial.
    """
    well = [each for each in evaluations if each.outcome is not None]
    most = max((each.epochs for each in well), default=0)
    return tuple(
        sorted(
            (each for each in well if each.epochs == most),
            key=lambda each: (-each.score, each.architecture.vectors, each.number),
        )
    )


def best_of(evaluations: Iterable[Evaluation]) -> Evaluation | None:
    """The first of :func:`whole_trials`; ``None`` if none ended well."""
    return next(iter(whole_trials(evaluations)), None)


def pareto_front(evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Whole trials that no other beats in both context vectors and score, by vectors."""
    front: list[Evaluation] = []
    for each in sorted(
        whole_trials(evaluations), key=lambda each: (each.architecture.vectors, -each.score)
    ):
        if not front or each.score > front[-1].score:
            front.append(each)
    return tuple(front)


def best_so_far(evaluations: Iterable[Evaluation]) -> list[tuple[int, float, float]]:
    """Steps and seconds of work, and the validation accuracy of the best whole trial so far."""
    points: list[tuple[int, float, float]] = []
    best = -math.inf
    for each in sorted(whole_trials(evaluations), key=lambda each: each.number):
        if each.accuracy is not None and each.score > best:
            best = each.score
            points.append((each.spent.steps, each.spent.seconds, each.accuracy))
    return points
