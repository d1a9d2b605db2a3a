"""The two towers of a CLIP."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["TOWERS", "Tower"]

Tower = Literal["image", "text"]

#: The order in which towers are listed, drawn and printed everywhere.
TOWERS: tuple[Tower, ...] = get_args(Tower)
