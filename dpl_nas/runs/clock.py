"""Seconds of the stages of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import read_sealed, write_json
from dpl_nas.io.run_files import SECONDS
from dpl_nas.observer import Stage

__all__ = ["Clock"]


class Clock:
    """The seconds of each stage, kept in a file so that a resumed run counts all its parts.

    Raises
    ------
    CheckpointError
        If the file in ``folder`` is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / SECONDS
        self.seconds: dict[str, float] = {}
        if self._file.exists():
            remedy = "remove it to count the seconds afresh"
            found = read_sealed(self._file, remedy)
            if not all(isinstance(value, float) for value in found.values()):
                raise CheckpointError(f"{self._file} should hold the seconds of stages: {remedy}")
            self.seconds = found

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Add the seconds of what is done inside to those of a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            write_json(self._file, self.seconds)
