"""Why a search stopped."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["StopReason"]


class StopReason(StrEnum):
    """By which limit or rule a search ended; JSON has the value."""

    #: A limit of the budget.
    TRIALS = "trials"
    STEPS = "steps"
    SECONDS = "seconds"
    #: Every architecture that fits was trained.
    EXHAUSTED = "exhausted"
    #: The search asked for nothing new a thousand times in a row.
    REPEATS = "repeats"
    #: A supernet had as many epochs as set, or its choice had been stable for long.
    EPOCHS = "epochs"
    EARLY_STOP = "early_stop"
    #: A rule of the strategy's own.
    STRATEGY = "strategy"
    #: Of an experiment of NNI: somebody stopped it, it ended in an error, or it still runs.
    STOPPED = "stopped"
    ERROR = "error"
    RUNNING = "running"
