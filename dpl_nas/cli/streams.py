"""What the program prints to, whatever became of it: closed, full, or a reader that has left."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from dpl_nas.errors import OutputError

__all__ = ["ReaderGone", "finish_output", "open_streams", "say"]


class ReaderGone(Exception):  # noqa: N818 - it is no error
    """Whoever read stdout has seen enough."""


class _Result(io.FileIO):
    """Stdout, whose troubles are told once, and apart from those of files and pipes of the work."""

    _told = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self._told:
                # Python's buffer tries again at the end.
                return len(data)
            self._told = True
            if isinstance(error, BrokenPipeError):
                raise ReaderGone from None
            raise OutputError(f"cannot write to stdout: {error.strerror}") from None


class _Progress(io.FileIO):
    """Stderr, which nobody need listen to: the work goes on without."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_streams() -> None:
    """Make stdout and stderr ready for anything that is printed, for the rest of the process.

    What was closed at the start leads nowhere from now on; otherwise the first files that are
    opened would be stdin, stdout and stderr to C libraries and other processes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
    sys.stdout = _text(_Result(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Progress(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    # Names of tasks and folders may hold what the encoding of the terminal does not.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else None,
        errors="backslashreplace",
        line_buffering=raw.isatty() or isinstance(raw, _Progress),
    )


def finish_output() -> None:
    """Write out what is left.

    Raises
    ------
    ReaderGone
        If nobody reads it.
    OutputError
        If it cannot be written.
    """
    sys.stdout.flush()


def say(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
