"""Reasons why a search stopped."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["StopReason"]


class StopReason(StrEnum):
    """The limit or rule by which a search ended; JSON has the value."""

    #: A limit of the budget.
    TRIALS = "trials"
    STEPS = "steps"
    SECONDS = "seconds"
    #: Every architecture that fits was trained.
    EXHAUSTED = "exhausted"
    #: The search asked for nothing new a thousand times in a row.
    REPEATS = "repeats"
    #: A supernet was trained for all its epochs, or its choice had been stable for long.
    EPOCHS = "epochs"
    EARLY_STOP = "early_stop"
    #: A rule of the strategy's own.
    STRATEGY = "strategy"
    #: An experiment of NNI was stopped by somebody, ended in an error, or still runs.
    STOPPED = "stopped"
    ERROR = "error"
    RUNNING = "running"
