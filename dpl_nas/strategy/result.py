"""The result of a search: the architecture, and how it was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dpl_nas.engine import (
    Cost,
    Evaluation,
    StopReason,
    best_so_far,
    pareto_front,
    whole_trials,
)
from dpl_nas.errors import CheckpointError, shorten
from dpl_nas.io.files import read_bytes, write_text
from dpl_nas.io.json_values import parse_json, seal, unseal
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import Frozen
from dpl_nas.space import Architecture
from dpl_nas.strategy.collapse import Collapse
from dpl_nas.strategy.compared import Compared

__all__ = [
    "EpochRecord",
    "SearchResult",
    "SearchSummary",
    "read_records",
    "write_records",
]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a differentiable search; a line of ``alphas.jsonl``.

    Losses are means over the epoch's steps. ``validation_accuracy`` is the accuracy of the chosen
    lengths with the supernet's vectors, ``supernet_accuracy`` that of the mixture; both are on
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

    __repr__ = short_repr


class SearchSummary(Frozen):
    """A search in a few numbers.

    Attributes
    ----------
    stopped_by
        Limit or rule that ended the search.
    epochs, mean_entropy, ties
        Epochs of a supernet, its final mean entropy (0 decided, 1 undecided), and the layers
        whose runner-up was close.
    validation_accuracy
        Validation accuracy of the chosen lengths, a share in 0..1; ``None`` if the strategy
        measured none.
    labels_seen
        Labelled images that the search saw, for training and validation.
    evaluations, failures
        Number of trials, and how many of them failed.
    finalists
        Number of trials that were made again with the halves of the shots in exchange.
    steps, images
        Number of training steps, and of images in their batches.
    trial_steps
        Number of training steps of a whole trial.
    nni
        Experiment of NNI that it was, if it was one.
    compared
        The choice beside the best manual design that the search tried, if it tried any.
    collapse
        What the alphas depend on, if there are any.
    """

    stopped_by: StopReason
    epochs: int | None = None
    mean_entropy: float | None = None
    ties: tuple[str, ...] = ()
    validation_accuracy: float | None
    labels_seen: int
    evaluations: int
    failures: int
    finalists: int = 0
    steps: int
    images: int
    trial_steps: int
    nni: dict[str, Any] | None = None
    compared: Compared | None = None
    collapse: Collapse | None = None


@dataclass(frozen=True)
class SearchResult:
    """The outcome of a search.

    Attributes
    ----------
    architecture
        Chosen lengths.
    strategy, shots, seed
        Name of the strategy, number of shots and seed of the search.
    records
        Records of a supernet, one an epoch.
    stopped_by
        Limit or rule that ended the search.
    seconds
        Wall-clock time, over all resumed parts.
    labels_seen
        Labelled images that the search saw, for training and validation.
    evaluations
        All trials, in the order in which the search saw them.
    finals
        Best trials with their outcomes on both halves of the shots, the best first; empty if there
        were no finals (:attr:`~dpl_nas.config.SearchSettings.finalists`).
    cost
        Total cost: trials, and steps of a supernet.
    peak_bytes
        Peak memory of one of its processes.
    trial_steps
        Number of training steps of a whole trial.
    compared
        The choice beside the best manual design among the trials, if there is any.
    collapse
        What the alphas depend on, if there are any.
    """

    architecture: Architecture
    strategy: str
    shots: int
    seed: int
    records: tuple[EpochRecord, ...]
    stopped_by: StopReason
    seconds: float
    labels_seen: int
    evaluations: tuple[Evaluation, ...] = ()
    finals: tuple[Evaluation, ...] = ()
    cost: Cost = field(default_factory=Cost)
    peak_bytes: int = 0
    trial_steps: int = 0
    compared: Compared | None = None
    collapse: Collapse | None = None

    __repr__ = short_repr

    @property
    def ranking(self) -> tuple[Evaluation, ...]:
        """Whole trials that ended well, the best first."""
        return whole_trials(self.evaluations)

    @property
    def deciding(self) -> tuple[Evaluation, ...]:
        """The trials that the choice was made by, the best first: the finals, or the ranking."""
        return self.finals or self.ranking

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
        """Validation accuracy of the chosen lengths; ``None`` if none was measured.

        They are trained afresh, or else have the supernet's vectors. After finals, it is that on
        both halves of the shots.
        """
        for each in self.deciding:
            if each.architecture == self.architecture and each.accuracy is not None:
                return each.accuracy
        return self.records[-1].validation_accuracy if self.records else None

    @property
    def curve(self) -> list[tuple[int, float, float]]:
        """Steps and seconds of work, and the best validation accuracy of a whole trial so far."""
        return best_so_far(self.evaluations)

    @property
    def alphas(self) -> dict[str, list[float]]:
        """The final logits by label."""
        return self.records[-1].alpha

    @property
    def mean_entropy(self) -> float:
        """The mean over layers of the final entropy, 0 decided to 1 undecided."""
        return self.records[-1].mean_entropy

    @property
    def ties(self) -> list[str]:
        """Layers whose runner-up is close (:func:`~dpl_nas.strategy.logits.tied`)."""
        return self.records[-1].ties

    def summary(self) -> SearchSummary:
        """The summary for ``result.json``."""
        return SearchSummary(
            stopped_by=self.stopped_by,
            epochs=len(self.records) or None,
            mean_entropy=self.mean_entropy if self.records else None,
            ties=tuple(self.ties) if self.records else (),
            validation_accuracy=self.validation_accuracy,
            labels_seen=self.labels_seen,
            evaluations=len(self.evaluations),
            failures=self.failures,
            finalists=len(self.finals),
            steps=self.cost.steps,
            images=self.cost.images,
            trial_steps=self.trial_steps,
            compared=self.compared,
            collapse=self.collapse,
        )


def write_records(path: Path, records: Sequence[EpochRecord]) -> None:
    """Write all records as JSON lines, atomically, so that a reader never sees half a line."""
    write_text(path, "".join(json.dumps(seal(asdict(record))) + "\n" for record in records))


def read_records(path: Path) -> list[EpochRecord]:
    """Read the records that :func:`write_records` wrote; none if there is no file.

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
            records.append(EpochRecord(**unseal(parse_json(line))))
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"line {number} of {path} is not a record of a search ({_reason(error)}): restore "
                "the file, or search in another folder"
            ) from error
    return records


def _reason(error: Exception) -> str:
    # Python raises it for keys that are missing or unknown.
    if isinstance(error, TypeError):
        return "a key is missing or unknown"
    return shorten(str(error))
