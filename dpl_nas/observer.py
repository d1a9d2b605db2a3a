"""How long work tells whoever watches what it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["Observer", "Stage"]


class Stage(StrEnum):
    """The parts of a run that an observer is told of; others may have names of their own."""

    SEARCH = "search"
    SHORTLIST = "shortlist"
    SEARCH_MANUAL = "search manual"
    TRAIN = "train"
    TRAIN_FOUND = "train found"
    TRAIN_MANUAL = "train manual"
    TRIAL = "trial"
    EVALUATE = "evaluate"
    TEST = "test"
    COMPARE = "compare"
    CHECK = "check"


class Observer:
    """Hears of every stage of a run; this one ignores it all.

    Subclasses draw progress bars, report to NNI, or record for a test. A stage is
    ``search``, ``train found``, ``train manual``, ``train`` (of given lengths) or ``evaluate``;
    its unit is an epoch or, for ``evaluate``, a batch of images.
    """

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage starts, or goes on after a resume with ``done`` of ``total`` units done."""

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """``done`` units of the stage are complete.

        ``metrics`` are plain numbers by name (``loss``, ``validation_accuracy``,
        ``entropy``, ...); ``status`` is one line for people: the best choice so far.
        """

    def end(self, stage: str) -> None:
        """The stage is complete, or stopped early by its own rule."""

    def note(self, text: str) -> None:
        """Something that a user should know, and that is no error."""
