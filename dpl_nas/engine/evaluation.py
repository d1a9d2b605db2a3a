"""What a trial measured, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpl_nas.space import Architecture, Space

__all__ = ["Cost", "Evaluation", "Outcome", "best_of", "pareto_front"]


@dataclass(frozen=True)
class Cost:
    """What was spent.

    Attributes
    ----------
    steps
        Forward and backward passes of one batch.
    images
        That went through them, each as often as it did.
    seconds
        Wall-clock time of the work itself; of parallel trials it adds up.
    """

    steps: int = 0
    images: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.steps + other.steps, self.images + other.images, self.seconds + other.seconds
        )


@dataclass(frozen=True)
class Outcome:
    """What was measured on ``images`` validation images: a share in 0..1, and cross-entropy."""

    accuracy: float
    loss: float
    images: int

    @property
    def score(self) -> float:
        """One number to maximise: the accuracy, and among equal ones the smaller loss.

        A few validation images leave many ties. exp(-loss) is below 1, so it never outweighs
        one image.
        """
        return self.accuracy + math.exp(-max(self.loss, 1e-9)) / self.images


@dataclass(frozen=True)
class Evaluation:
    """One trial: an architecture, trained for ``epochs`` and validated.

    Attributes
    ----------
    number
        From 0, in the order in which the search saw them.
    outcome
        ``None`` where the trial failed; ``error`` says why.
    cost
        Of this trial. What an earlier one had trained already is not counted again.
    spent
        All that the search had spent when it saw this trial, this trial included.
    peak_bytes
        The most memory that its process had held up to its end.
    """

    number: int
    architecture: Architecture
    epochs: int
    outcome: Outcome | None
    cost: Cost
    spent: Cost
    peak_bytes: int
    error: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy in 0..1."""
        return None if self.outcome is None else self.outcome.accuracy

    @property
    def score(self) -> float:
        """:attr:`Outcome.score`; minus infinity where the trial failed."""
        return -math.inf if self.outcome is None else self.outcome.score

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        outcome = self.outcome
        return {
            "number": self.number,
            "lengths": {t: list(part) for t, part in self.architecture.lengths.items()},
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


def best_of(evaluations: Mapping[Any, Evaluation] | tuple[Evaluation, ...]) -> Evaluation | None:
    """The trial with the best score: of equal ones fewer vectors, then the earlier.

    Only trials of the most epochs count, as a short training says less. ``None`` if none ended
    well.
    """
    found = evaluations.values() if isinstance(evaluations, Mapping) else evaluations
    well = [each for each in found if each.outcome is not None]
    most = max((each.epochs for each in well), default=0)
    return min(
        (each for each in well if each.epochs == most),
        key=lambda each: (-each.score, each.architecture.vectors, each.number),
        default=None,
    )


def pareto_front(evaluations: tuple[Evaluation, ...]) -> tuple[Evaluation, ...]:
    """Trials that no other beats in both context vectors and score, by vectors.

    Only trials of the most epochs count.
    """
    most = max((each.epochs for each in evaluations if each.outcome), default=0)
    front: list[Evaluation] = []
    for each in sorted(
        (each for each in evaluations if each.outcome and each.epochs == most),
        key=lambda each: (each.architecture.vectors, -each.score, each.number),
    ):
        if not front or each.score > front[-1].score:
            front.append(each)
    return tuple(front)


def trial_key(architecture: Architecture, number: int) -> tuple[Any, ...]:
    """What tells trials apart: the lengths, and the epochs or the seed."""
    return (*sorted(architecture.lengths.items()), number)


def architecture_of(space: Space, lengths: Mapping[str, Any]) -> Architecture:
    """The architecture that a line of a ledger is about.

    Raises
    ------
    ArchitectureError
        If it does not fit the space.
    """
    return space.architecture(
        {
            f"{tower}/{layer}": length
            for tower, part in space.towers.items()
            for layer, length in zip(part.layers, lengths.get(tower, ()), strict=False)
        }
    )
