"""Display of dpl_nas's warnings as readable lines."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from dpl_nas.errors import DplWarning, join_lines

__all__ = ["let_notes_through", "notes_told", "tell_notes"]


def let_notes_through() -> None:
    """Add a warning filter in front, so that none of our warnings is suppressed."""
    warnings.simplefilter("always", DplWarning)


def tell_notes() -> None:
    """Show each :class:`~dpl_nas.errors.DplWarning` as a line ``note: ...`` on stderr, once."""
    told: set[str] = set()
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, DplWarning):
            before(message, category, filename, lineno, file, line)
            return
        text = join_lines(str(message))
        if text not in told:
            told.add(text)
            sys.stderr.write(f"note: {text}\n")
            sys.stderr.flush()

    warnings.showwarning = show
    let_notes_through()


@contextmanager
def notes_told() -> Iterator[None]:
    """Show our warnings as notes, and those of libraries only under Python's option -W."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        tell_notes()
        yield
