"""The lines of a search's ledger: trials, and charges for work that is no trial."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from dpl_nas.engine.cost import Cost
from dpl_nas.engine.evaluation import Outcome, right_as_text, right_from_text
from dpl_nas.errors import ArchitectureError, CheckpointError
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.space import Architecture, Space, Tower

__all__ = ["ChargeEntry", "Entry", "TrialEntry", "parse_entry", "trial_key"]

_Count = Annotated[int, Field(ge=0, strict=True)]
_Seconds = Annotated[float, Field(ge=0, strict=True)]


class _Paid(Frozen):
    steps: _Count
    images: _Count
    seconds: _Seconds

    @property
    def cost(self) -> Cost:
        """The cost of the line."""
        return Cost(self.steps, self.images, self.seconds)


class ChargeEntry(_Paid):
    """Work that is no trial, such as an epoch of a supernet.

    Attributes
    ----------
    charge
        Name of the charge.
    elapsed
        Wall-clock seconds of the search up to this line.
    """

    charge: str
    elapsed: _Seconds

    @classmethod
    def of(cls, charge: str, cost: Cost, elapsed: float) -> Self:
        """Make the line of a charge."""
        return cls(
            charge=charge,
            steps=cost.steps,
            images=cost.images,
            seconds=cost.seconds,
            elapsed=elapsed,
        )

    @property
    def key(self) -> Hashable:
        """The key that the ledger finds the line by."""
        return "charge", self.charge


class TrialEntry(_Paid):
    """A trial and how it ended.

    Attributes
    ----------
    lengths, epochs
        Lengths of the architecture, and number of epochs that it was trained for.
    outcome
        Accuracy, loss and number of images; ``None`` if the trial failed, and ``error`` says why.
    peak_bytes
        Peak memory of its process up to its end.
    elapsed
        Wall-clock seconds of the search up to this line.
    stack
        Number of trials that it was trained side by side with, itself included.
    right, losses
        For each validation image, 1 if it was classified rightly and 0 if not, and its
        cross-entropy.
    """

    lengths: dict[Tower, tuple[_Count, ...]]
    epochs: Annotated[int, Field(ge=1, strict=True)]
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
    elapsed: _Seconds
    stack: Annotated[int, Field(ge=1, strict=True)] = 1
    right: Annotated[str, Field(pattern="^[01]*$")] = ""
    losses: tuple[Annotated[float, Field(strict=True)], ...] = ()

    @model_validator(mode="after")
    def _ended_somehow(self) -> TrialEntry:
        if (self.outcome is None) == (self.error is None):
            raise ValueError("expected either an outcome or an error")
        return self

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        epochs: int,
        *,
        outcome: Outcome | None,
        error: str | None,
        cost: Cost,
        peak_bytes: int,
        elapsed: float,
        stack: int,
    ) -> Self:
        """Make the line of a trial."""
        return cls(
            lengths=architecture.lengths,
            epochs=epochs,
            outcome=None if outcome is None else (outcome.accuracy, outcome.loss, outcome.images),
            error=error,
            steps=cost.steps,
            images=cost.images,
            seconds=cost.seconds,
            peak_bytes=peak_bytes,
            elapsed=elapsed,
            stack=stack,
            right=right_as_text(outcome.right) if outcome else "",
            losses=outcome.losses if outcome else (),
        )

    @property
    def key(self) -> Hashable:
        """The key that the ledger finds the line by."""
        return trial_key(self.lengths, self.epochs)

    @property
    def measured(self) -> Outcome | None:
        """The result of the trial."""
        if self.outcome is None:
            return None
        return Outcome(*self.outcome, right_from_text(self.right), self.losses)


Entry = ChargeEntry | TrialEntry


def trial_key(lengths: Any, epochs: int) -> Hashable:
    """The key of a trial within its search."""
    return tuple(sorted(lengths.items())), epochs


def parse_entry(line: dict[str, Any], space: Space, where: str) -> Entry:
    """Read a line of the ledger of a search of ``space``.

    Raises
    ------
    CheckpointError
        If a search has not written it; the message begins with ``where``.
    """
    if "charge" in line:
        return validate(ChargeEntry, line, where, CheckpointError)
    entry = validate(TrialEntry, line, where, CheckpointError)
    try:
        space.architecture_of(entry.lengths)
    except ArchitectureError as error:
        raise CheckpointError(f"{where}: {error}") from error
    return entry
