"""What the lines of a search's ledger must hold: a file may have been edited, or damaged."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from dpl_nas.errors import CheckpointError
from dpl_nas.io.validation import Frozen, validated
from dpl_nas.space import Tower

__all__ = ["checked_entry"]

_Count = Annotated[int, Field(ge=0, strict=True)]
_Seconds = Annotated[float, Field(ge=0, strict=True)]


class _Entry(Frozen):
    steps: _Count
    images: _Count
    seconds: _Seconds
    #: Wall-clock seconds of the search up to here.
    elapsed: _Seconds


class _Charge(_Entry):
    charge: str


class _Trial(_Entry):
    lengths: dict[Tower, tuple[_Count, ...]]
    epochs: Annotated[int, Field(ge=1, strict=True)]
    #: Accuracy, loss, and how many images.
    outcome: (
        tuple[
            Annotated[float, Field(ge=0, le=1, strict=True)],
            Annotated[float, Field(strict=True)],
            Annotated[int, Field(ge=1, strict=True)],
        ]
        | None
    )
    error: str | None
    peak_bytes: _Count

    @model_validator(mode="after")
    def _ended_somehow(self) -> _Trial:
        if (self.outcome is None) == (self.error is None):
            raise ValueError("expected either an outcome or an error")
        return self


def checked_entry(entry: dict[str, Any], what: str) -> dict[str, Any]:
    """The line itself, if it is one that a search writes.

    Raises
    ------
    CheckpointError
        If it is not; the message begins with ``what``.
    """
    kind = _Charge if "charge" in entry else _Trial
    validated(kind, entry, what, CheckpointError)
    return entry
