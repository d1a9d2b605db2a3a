"""The interface by which long computations report their progress."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["Observer", "OneStage", "Stage"]


class Stage(StrEnum):
    """The stages of a run that are reported to an observer; other work may name its own."""

    SEARCH = "search"
    SHORTLIST = "shortlist"
    SEARCH_MANUAL = "search manual"
    TRAIN = "train"
    TRAIN_FOUND = "train found"
    TRAIN_MANUAL = "train manual"
    TRAIN_UNIFORM = "train uniform"
    TRIAL = "trial"
    FINALS = "finals"
    EVALUATE = "evaluate"
    TEST = "test"
    PREDICT = "predict"
    COMPARE = "compare"
    BENCH = "bench"
    CHECK = "check"


class Observer:
    """Receiver of progress reports of a run; this base class ignores them.

    Subclasses draw progress bars, report to NNI, or record for a test. A stage is
    ``search``, ``train found``, ``train manual``, ``train uniform``, ``train`` (of given lengths)
    or ``evaluate``; its unit is an epoch or, for ``evaluate``, a batch of images.
    """

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Report that a stage starts, or resumes with ``done`` of ``total`` units done."""

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """Report that ``done`` units of the stage are complete.

        ``metrics`` are plain numbers by name (``loss``, ``validation_accuracy``,
        ``entropy``, ...); ``status`` is one line for people: the best choice so far.
        """

    def end(self, stage: str) -> None:
        """Report that the stage is complete, or stopped early by its own rule."""


class OneStage(Observer):
    """Tells another observer of all stages under one name."""

    def __init__(self, observer: Observer, stage: str) -> None:
        self._observer = observer
        self._stage = stage

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Report the beginning under the one name."""
        del stage
        self._observer.begin(self._stage, total, done)

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """Report progress under the one name."""
        del stage
        self._observer.advance(self._stage, done, metrics, status)

    def end(self, stage: str) -> None:
        """Report the end under the one name."""
        del stage
        self._observer.end(self._stage)
