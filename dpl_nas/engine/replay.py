"""The ledger of a search as its memory: known lines are answers without work."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dpl_nas.engine.entries import Entry, parse_entry
from dpl_nas.engine.ledger import Ledger
from dpl_nas.space import Space

__all__ = ["Replay"]


class Replay:
    """The lines that earlier processes of a search have written, each given out once.

    Parameters
    ----------
    path
        Path of the ledger; ``None`` if nothing is kept.
    identity
        Values of the search that the ledger must belong to.
    stack
        Stack that closes the ledger.
    threads
        Number of threads of a trial.

    Attributes
    ----------
    elapsed
        Wall-clock seconds of the search by the last line.

    Raises
    ------
    OutputError
        If the ledger belongs to another search, or is in use.
    CheckpointError
        If it is damaged.
    """

    def __init__(
        self,
        path: Path | None,
        identity: Mapping[str, Any],
        space: Space,
        stack: ExitStack,
        threads: int | None = None,
    ) -> None:
        self.elapsed = 0.0
        self._ledger: Ledger | None = None
        self._known: dict[Hashable, Entry] = {}
        if path is None:
            return
        self._ledger = stack.enter_context(Ledger(path, identity, threads))
        for number, line in enumerate(self._ledger.entries, start=2):
            where = (
                f"line {number} of {path} was not written by a search of this version of dpl_nas, "
                "so use another folder"
            )
            entry = parse_entry(line, space, where)
            self._known.setdefault(entry.key, entry)
            self.elapsed = max(self.elapsed, entry.elapsed)

    def __bool__(self) -> bool:
        """Whether there are lines that were not given out yet."""
        return bool(self._known)

    def find(self, key: Hashable) -> Entry | None:
        """Return the line of ``key``, if there is one that was not taken yet."""
        return self._known.get(key)

    def take(self, key: Hashable) -> Entry | None:
        """Take the line of ``key``, if there is one that was not taken before."""
        return self._known.pop(key, None)

    def record(self, entry: Entry) -> None:
        """Add a line; when this returns, it is on disk.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self._ledger is not None:
            self._ledger.append(entry.model_dump(mode="json"))
