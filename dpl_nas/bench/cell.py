"""The result of one method on one task with a number of shots and a seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dpl_nas.bench.plan import Protocol
from dpl_nas.io.validation import Frozen, Number
from dpl_nas.space import Tower

__all__ = ["BenchCell"]

_Share = Annotated[float, Field(ge=0, le=1)]


class BenchCell(Frozen):
    """A cell of a bench.

    Attributes
    ----------
    accuracy, macro_f1
        Shares in 0..1 by the name of the test set. A set whose classes the method cannot tell
        apart is not there.
    lengths
        Lengths of the searched layers of each tower, if a strategy has searched them.
    settings
        What a small search has chosen, such as ``lr 0.003``; empty if there was nothing to choose.
    parameters
        Learned numbers.
    seconds
        Wall-clock seconds of the learning, and of all searches.
    peak_bytes
        Peak memory of its process.
    error
        What went wrong, if it failed.
    """

    protocol: Protocol
    method: str
    task: str
    shots: int
    seed: int
    accuracy: dict[str, _Share] = Field(default_factory=dict)
    macro_f1: dict[str, _Share] = Field(default_factory=dict)
    lengths: dict[Tower, tuple[int, ...]] = Field(default_factory=dict)
    settings: str = ""
    parameters: int = Field(default=0, ge=0)
    seconds: Number = Field(default=0.0, ge=0)
    peak_bytes: int = Field(default=0, ge=0)
    error: str | None = None

    @model_validator(mode="after")
    def _has_a_result(self) -> BenchCell:
        if (self.error is None) != bool(self.accuracy):
            raise ValueError("expected either accuracies or an error")
        return self
