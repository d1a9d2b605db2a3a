"""The results of runs: types here, JSON on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import ConfigDict, Field

from dpl_nas.config import Classes, RunConfig
from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import read_sealed, write_json
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.space import Architecture, Tower
from dpl_nas.strategy.result import SearchSummary
from dpl_nas.training.evaluation import Metrics

__all__ = [
    "EvaluationResult",
    "Lengths",
    "RunResult",
    "SearchRecord",
    "SearchRunResult",
    "TestResult",
    "TrainRunResult",
    "read_record",
    "write_record",
]

#: Number of the layout: results of other numbers mean something else.
_SCHEMA = 1

Share = Annotated[float, Field(ge=0, le=1)]
#: Context lengths of the searched layers by tower.
Lengths = dict[Tower, tuple[int, ...]]


class _Result(Frozen):
    """A result for people and programs; its layout has a number."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    schema_number: int = Field(default=_SCHEMA, alias="schema", ge=_SCHEMA, le=_SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.model_dump(mode="json")


class TestResult(Frozen):
    """A test on the full test set: the design, and shares in 0..1 over ``images`` images."""

    # Without this, pytest would take the class for a test.
    __test__ = False

    accuracy: Share
    macro_f1: Share
    images: int
    lengths: Lengths

    @classmethod
    def of(cls, metrics: Metrics, lengths: Mapping[Tower, tuple[int, ...]]) -> Self:
        """Make the result of the test of a design with these lengths."""
        return cls(
            accuracy=metrics.accuracy,
            macro_f1=metrics.macro_f1,
            images=metrics.images,
            lengths=dict(lengths),
        )

    @property
    def vectors(self) -> int:
        """Number of context vectors of all layers together."""
        return sum(map(sum, self.lengths.values()))


class _Head(_Result):
    """The fields that all runs share: the configuration and the lengths."""

    task: str
    space: str
    strategy: str
    shots: int
    seed: int
    lengths: Lengths
    vectors: int

    @staticmethod
    def of(config: RunConfig, architecture: Architecture) -> dict[str, Any]:
        """The fields of a run."""
        return {
            "task": config.task,
            "space": config.space.name,
            "strategy": config.strategy.name,
            "shots": config.shots,
            "seed": config.seed,
            "lengths": architecture.lengths,
            "vectors": architecture.vectors,
        }


class RunResult(_Head):
    """``result.json``: a search, the training of what it found, and the tests.

    Attributes
    ----------
    test
        Tests by name: ``found``, ``manual`` for the manual design, ``uniform`` for the one that
        was asked for beside it, and those of :data:`dpl_nas.backbone_config.PLAIN`.
    validation_accuracy
        Validation accuracy of the found lengths, a share in 0..1; ``None`` if the strategy
        measured none.
    seconds
        Wall-clock time by stage, over all resumed parts.
    notes
        Sentences on what a reader should know and the numbers do not show.
    """

    test: dict[str, TestResult]
    validation_accuracy: Share | None
    search: SearchSummary
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()


class SearchRunResult(_Head):
    """The result of a search alone."""

    search: SearchRecord
    notes: tuple[str, ...] = ()


class TrainRunResult(_Head):
    """The result of a training alone, with the path of its prompts."""

    prompts: str


class EvaluationResult(_Result):
    """The result of a test of trained prompts.

    Attributes
    ----------
    classes, class_count
        Classes of the task that were tested: all or a half; and their number.
    """

    task: str
    classes: Classes = "all"
    class_count: int
    prompts: str
    test: dict[str, TestResult]


class SearchRecord(SearchSummary):
    """``search.json``: how the lengths were found, and the cost on this machine.

    Attributes
    ----------
    seconds
        Wall-clock time of the search.
    peak_bytes
        Peak memory of one of its processes.
    """

    seconds: float
    peak_bytes: int

    @property
    def summary(self) -> SearchSummary:
        """The fields that do not depend on the machine."""
        return SearchSummary.model_validate(
            {name: getattr(self, name) for name in SearchSummary.model_fields}
        )


Record = TypeVar("Record", bound=Frozen)


def read_record(path: Path, kind: type[Record], remedy: str) -> Record:
    """Read a result that :func:`write_record` wrote.

    Parameters
    ----------
    remedy
        Advice if the file is damaged, such as "remove it to start afresh".

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another layout.
    """
    return validate(
        kind,
        read_sealed(path, remedy),
        f"{path} was not written by this version of dpl_nas, so {remedy}",
        CheckpointError,
    )


def write_record(path: Path, record: Frozen) -> None:
    """Write a result as JSON, atomically."""
    write_json(path, record.model_dump(mode="json"))


SearchRunResult.model_rebuild()
