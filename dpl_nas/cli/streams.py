"""The streams that the program prints to, even if closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from dpl_nas.errors import OutputError

__all__ = ["ReaderGone", "finish_output", "open_streams", "say"]


class ReaderGone(Exception):  # noqa: N818 - it is no error
    """The reader of stdout has left."""


class _Result(io.FileIO):
    """Stdout. Its errors are told once, and apart from those of the work's files and pipes."""

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
    """Stderr. The work goes on if it cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_streams() -> None:
    """Make stdout and stderr ready for anything that is printed, for the rest of the process.

    A stream that was closed at the start leads nowhere from now on. Otherwise C libraries and
    other processes would take the first opened files for stdin, stdout and stderr.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system gives a new file the lowest free number.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
    sys.stdout = _text(_Result(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Progress(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    # Names of tasks and folders may have characters that the terminal's encoding lacks.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else None,
        errors="backslashreplace",
        line_buffering=raw.isatty() or isinstance(raw, _Progress),
    )


def finish_output() -> None:
    """Write out what is still in the buffers.

    Raises
    ------
    ReaderGone
        If nobody reads it.
    OutputError
        If it cannot be written.
    """
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
