"""What a search says: the architecture, and how it came to it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dpl_nas.engine import Cost, Evaluation, pareto_front
from dpl_nas.errors import CheckpointError, shortened
from dpl_nas.io.files import read_bytes, write_text
from dpl_nas.io.json_values import parse_json, sealed, unsealed
from dpl_nas.space import Architecture

__all__ = [
    "TIE_MARGIN",
    "EpochRecord",
    "SearchResult",
    "log_softmax",
    "normalised_entropy",
    "read_records",
    "softmax",
    "tied",
    "write_records",
]

#: A layer is called tied when the runner-up's probability is this close to the winner's.
TIE_MARGIN = 0.01


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a differentiable search; a line of ``alphas.jsonl``.

    Losses are means over the epoch's steps; ``validation_accuracy`` is that of the chosen
    lengths with the supernet's vectors, ``supernet_accuracy`` that of the mixture, both on
    all validation images. Entropies are shares of log(candidates): 1 is undecided.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    supernet_accuracy: float
    mean_entropy: float
    entropy: dict[str, float]
    choice: dict[str, int]
    ties: list[str]
    alpha: dict[str, list[float]]


@dataclass(frozen=True)
class SearchResult:
    """The outcome of a search.

    Attributes
    ----------
    architecture
        The chosen lengths.
    strategy, shots, seed
        How it was searched.
    records
        Of a supernet, one an epoch.
    stopped_by
        ``trials``, ``steps``, ``seconds``: the budget; ``epochs`` or ``early_stop`` of a
        supernet; ``exhausted`` when nothing was left to try; ``strategy`` for a rule of its own.
    seconds
        Wall-clock time, over all resumed parts.
    labels_seen
        Labelled images that the search saw, for training and validation.
    evaluations
        Every trial, in the order in which the search saw them.
    cost
        All that was spent: trials, and steps of a supernet.
    peak_bytes
        The most memory that one of its processes held.
    trial_steps
        Training steps of a whole trial.
    """

    architecture: Architecture
    strategy: str
    shots: int
    seed: int
    records: tuple[EpochRecord, ...]
    stopped_by: str
    seconds: float
    labels_seen: int
    evaluations: tuple[Evaluation, ...] = ()
    cost: Cost = field(default_factory=Cost)
    peak_bytes: int = 0
    trial_steps: int = 0

    @property
    def ranking(self) -> tuple[Evaluation, ...]:
        """Whole trials that ended well, the best first."""
        well = [each for each in self.evaluations if each.outcome is not None]
        most = max((each.epochs for each in well), default=0)
        return tuple(
            sorted(
                (each for each in well if each.epochs == most),
                key=lambda each: (-each.score, each.architecture.vectors, each.number),
            )
        )

    @property
    def front(self) -> tuple[Evaluation, ...]:
        """Whole trials that no other beats in both vectors and validation accuracy."""
        return pareto_front(self.evaluations)

    @property
    def failures(self) -> int:
        """Trials that failed."""
        return sum(each.error is not None for each in self.evaluations)

    @property
    def validation_accuracy(self) -> float | None:
        """Of the chosen lengths: trained afresh, or else with the supernet's vectors.

        ``None`` where the strategy chose without either.
        """
        for each in self.ranking:
            if each.architecture == self.architecture and each.accuracy is not None:
                return each.accuracy
        return self.records[-1].validation_accuracy if self.records else None

    @property
    def curve(self) -> list[tuple[int, float, float]]:
        """Steps and seconds of work, and the best validation accuracy of a whole trial by then."""
        points: list[tuple[int, float, float]] = []
        most = max((each.epochs for each in self.evaluations), default=0)
        for each in self.evaluations:
            accuracy = each.accuracy
            if accuracy is None or each.epochs < most:
                continue
            if not points or accuracy > points[-1][2]:
                points.append((each.spent.steps, each.spent.seconds, accuracy))
        return points

    @property
    def alphas(self) -> dict[str, list[float]]:
        """The final logits by label."""
        return self.records[-1].alpha

    @property
    def mean_entropy(self) -> float:
        """Mean over layers of the final entropy, 0 decided to 1 undecided."""
        return self.records[-1].mean_entropy

    @property
    def ties(self) -> list[str]:
        """Layers whose runner-up is within :data:`TIE_MARGIN` of the winner."""
        return self.records[-1].ties

    def summary(self) -> dict[str, Any]:
        """For ``result.json``."""
        of_supernet = (
            {"epochs": len(self.records), "mean_entropy": self.mean_entropy, "ties": self.ties}
            if self.records
            else {}
        )
        return {
            "stopped_by": self.stopped_by,
            **of_supernet,
            "validation_accuracy": self.validation_accuracy,
            "labels_seen": self.labels_seen,
            "evaluations": len(self.evaluations),
            "failures": self.failures,
            "steps": self.cost.steps,
            "images": self.cost.images,
            "trial_steps": self.trial_steps,
        }


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities of a few logits."""
    peak = max(logits)
    weights = [math.exp(value - peak) for value in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Logarithms of the probabilities of a few logits, also where these round to 0."""
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


def write_records(path: Path, records: Sequence[EpochRecord]) -> None:
    """All records as JSON lines, atomically, so that a reader never sees half a line."""
    write_text(path, "".join(json.dumps(sealed(asdict(record))) + "\n" for record in records))


def read_records(path: Path) -> list[EpochRecord]:
    """The records that :func:`write_records` wrote; none if there is no file.

    Raises
    ------
    CheckpointError
        If the file holds something else.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        try:
            records.append(EpochRecord(**unsealed(parse_json(line))))
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"line {number} of {path} is not a record of a search, as {_reason(error)}: "
                "restore the file, or search in another folder"
            ) from error
    return records


def _reason(error: Exception) -> str:
    # Of Python, of keys that are missing or unknown.
    return "its keys are others" if isinstance(error, TypeError) else shortened(str(error))
