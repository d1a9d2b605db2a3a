"""The budget of a search in trials, training steps or seconds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from dpl_nas.errors import ConfigError
from dpl_nas.io.validation import Frozen, Number, validate
from dpl_nas.io.yaml_values import abbreviate

__all__ = ["SearchBudget"]

_UNITS = {"trials": "trials", "trial": "trials", "steps": "steps", "step": "steps"}
_UNITS |= {"seconds": "seconds", "second": "seconds", "s": "seconds"}
_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*[- ]?\s*([a-z]+)\s*")

Count = Annotated[int, Field(ge=1, le=10**12, strict=True)]


class SearchBudget(Frozen):
    """Limits of a search; all of them must hold.

    Attributes
    ----------
    trials
        Number of full trainings of one architecture. Partial trainings and supernet steps count
        by their steps, so that all searches have the same unit of cost.
    steps
        Training steps: one forward and backward pass of one batch.
    seconds
        Wall-clock time. Unlike the other two, this limit makes results depend on the machine.
    """

    trials: Count | None = None
    steps: Count | None = None
    seconds: Annotated[Number, Field(gt=0, le=1e12)] | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> SearchBudget:
        if self.trials is None and self.steps is None and self.seconds is None:
            raise ValueError("expected at least one of trials, steps and seconds")
        return self

    @classmethod
    def parse(cls, text: str) -> SearchBudget:
        """Parse ``40-trials``, ``8000-steps`` or ``600-seconds``; commas join several limits.

        Raises
        ------
        ConfigError
            If the text is none of these.
        """
        if not isinstance(text, str):
            raise ConfigError(f"expected a budget such as '40-trials', found {abbreviate(text)}")
        found: dict[str, float] = {}
        for part in text.split(","):
            match = _TEXT.fullmatch(part)
            unit = _UNITS.get(match[2]) if match else None
            if match is None or unit is None or unit in found:
                raise ConfigError(
                    "expected a budget such as 40-trials, 8000-steps or 600-seconds, or several "
                    f"joined by commas, found '{text:.60}'"
                )
            number = float(match[1])
            if number <= 0 or (unit != "seconds" and not number.is_integer()):
                kind = "number" if unit == "seconds" else "whole number"
                raise ConfigError(f"expected a {kind} of {unit} above 0, found '{part:.60}'")
            found[unit] = number if unit == "seconds" else int(number)
        return validate(cls, found, f"budget {text:.60}", ConfigError)

    def __str__(self) -> str:
        parts = [
            # Any number is written without an exponent, so that it can be parsed back.
            f"{Decimal(repr(value)).normalize():f}-{unit}"
            for unit in ("trials", "steps", "seconds")
            if (value := getattr(self, unit)) is not None
        ]
        return ",".join(parts)
