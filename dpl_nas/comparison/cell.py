"""One cell of a comparison: one strategy on one task, space, number of shots and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dpl_nas.errors import CheckpointError, ComparisonError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_json, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import problems_of

__all__ = ["Block", "Cell", "Metric", "read_cells", "unique", "write_cells"]

Metric = Literal["test_accuracy", "test_macro_f1", "validation_accuracy"]

_SHARES = ("test_accuracy", "test_macro_f1", "validation_accuracy", "mean_entropy")


class Block(NamedTuple):
    """The setting and seed that two strategies must share so that their results are a pair."""

    space: str
    task: str
    shots: int
    seed: int


@dataclass(frozen=True)
class Cell:
    """The result of one strategy with one seed.

    Attributes
    ----------
    task, space, strategy, seed, shots
        Names and numbers of the search. The strategy of a reference is the name of its design.
    lengths
        The context lengths of the searched layers of each tower, in the order of the layers.
    vectors
        Number of context vectors of all layers together.
    test_accuracy, test_macro_f1
        Shares in 0..1 on the full test set; ``None`` if the cell failed.
    validation_accuracy
        Validation accuracy of the chosen lengths, a share in 0..1; ``None`` if it was not measured.
    steps, images, seconds
        Optimiser steps, images seen and wall-clock seconds of the search.
    peak_bytes
        Peak memory; ``None`` if it was not measured.
    mean_entropy
        Final mean entropy of a differentiable search: 0 is decided, 1 undecided.
    evaluations, failures
        Number of architectures that the search evaluated, and how many of them failed.
    stopped_by
        Rule or limit that ended the search, such as ``epochs`` or ``early_stop``.
    curve
        Steps, seconds and the best validation accuracy so far, at each measurement.
    error
        Error message of a failed cell; ``None`` if it did not fail.
    reference
        Whether the cell is a reference (zero-shot, a manual design) and no strategy.

    Raises
    ------
    ComparisonError
        If a share is not in 0..1, a number is not finite, or a cell has neither a test result
        nor an error, or has both.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    task: str
    space: str
    strategy: str
    seed: int
    shots: int
    lengths: Mapping[str, Sequence[int]]
    vectors: int
    test_accuracy: float | None
    test_macro_f1: float | None
    validation_accuracy: float | None = None
    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    peak_bytes: int | None = None
    mean_entropy: float | None = None
    evaluations: int = 0
    failures: int = 0
    stopped_by: str = ""
    curve: Sequence[tuple[int, float, float]] = ()
    error: str | None = None
    reference: bool = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            # Rounding may take an entropy just out of range.
            if value is not None and not -1e-6 <= value <= 1 + 1e-6:
                raise self._wrong(f"expected {name} from 0 to 1, found {value}")
        if not math.isfinite(self.seconds) or self.seconds < 0:
            raise self._wrong(f"expected seconds of 0 or more, found {self.seconds}")
        if (self.error is None) == (self.test_accuracy is None or self.test_macro_f1 is None):
            raise self._wrong("expected either test_accuracy and test_macro_f1, or an error")
        # Any sequence becomes plain, immutable, and equal after a round trip.
        curve = tuple((int(step), float(at), float(best)) for step, at, best in self.curve)
        if not all(math.isfinite(at) and 0 <= best <= 1 for _, at, best in curve):
            raise self._wrong("expected a curve of finite seconds and accuracies from 0 to 1")
        object.__setattr__(self, "curve", tuple(sorted(curve)))
        lengths = {str(tower): tuple(map(int, part)) for tower, part in self.lengths.items()}
        object.__setattr__(self, "lengths", lengths)

    def _wrong(self, problem: str) -> ComparisonError:
        return ComparisonError(
            f"cell {self.strategy} on {self.task}, {self.space}, seed {self.seed}: {problem}"
        )

    @property
    def block(self) -> Block:
        """The block of this cell: what it shares with the cells it is compared with."""
        return Block(self.space, self.task, self.shots, self.seed)

    @property
    def complete(self) -> bool:
        """Whether it has a test result."""
        return self.error is None

    @property
    def vector(self) -> tuple[int, ...]:
        """The lengths of all layers as one row, tower after tower."""
        return tuple(length for part in self.lengths.values() for length in part)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self)
        plain["lengths"] = {tower: list(part) for tower, part in self.lengths.items()}
        plain["curve"] = [list(point) for point in self.curve]
        return plain

    @classmethod
    def from_json(cls, data: Any) -> Cell:
        """Make a cell from the values of :meth:`to_json`.

        Raises
        ------
        ComparisonError
            If a key is missing or unknown, or a value is of the wrong type or out of range.
        """
        try:
            return TypeAdapter(cls).validate_python(data)
        except ValidationError as problem:
            told = "; ".join(problems_of(problem)[:8])
            raise ComparisonError(f"not a cell of a comparison: {told}") from None


@checked(OutputError)
def write_cells(path: AnyPath, cells: Iterable[Cell]) -> None:
    """Write cells as one JSON list, atomically."""
    write_json(Path(path), [cell.to_json() for cell in cells])


@checked(CheckpointError)
def read_cells(path: AnyPath) -> list[Cell]:
    """The cells that :func:`write_cells` wrote.

    Raises
    ------
    CheckpointError
        If the file is missing or is not JSON.
    ComparisonError
        If it holds something else.
    """
    data = read_json(Path(path))
    if not isinstance(data, list):
        raise ComparisonError(f"{path} is not a list of cells: give a file that a comparison wrote")
    return [Cell.from_json(item) for item in data]


def unique(items: Iterable[Any]) -> tuple[Any, ...]:
    """Distinct values in the order of their first appearance."""
    return tuple(dict.fromkeys(items))
