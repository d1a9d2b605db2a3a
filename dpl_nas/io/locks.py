"""Locks for one process at a time: files that are claimed while they are open."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpl_nas.errors import OutputError
from dpl_nas.io.files import UNSUPPORTED, go_on_without

__all__ = ["claim", "claim_file"]


@contextmanager
def claim(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock ``path``, an empty file that is created if missing, in the context.

    Raises
    ------
    OutputError
        If another process holds the lock (the message is ``busy``), if the file is not our
        lock, or if it cannot be created.
    """
    with claim_file(path, busy) as stream:
        if os.fstat(stream.fileno()).st_size:
            raise OutputError(
                f"{path} is not empty, so it is not a lock of dpl_nas: use another folder"
            )
        yield


def claim_file(path: Path, busy: str) -> io.FileIO:
    """Open a file for reading and appending, for this process only until it is closed.

    A missing file is created; an existing one is left as it is. Links are not followed, since
    their targets may belong to others.

    Raises
    ------
    OutputError
        If another process has claimed the file (the message is ``busy``), if it is not a
        regular file, or if it cannot be opened.
    """
    stream = _opened(path)
    try:
        _claim(stream, path, busy)
    except BaseException:
        stream.close()
        raise
    return stream


def _opened(path: Path) -> io.FileIO:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if os.path.lexists(path):
            # Checked first: opening a device may have side effects.
            _check_regular(path, path.lstat().st_mode)
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}") from error
    stream = io.FileIO(descriptor, "a+b")
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        stream.close()
        raise
    return stream


def _check_regular(path: Path, kind: int) -> None:
    if not stat.S_ISREG(kind):
        what = (
            "a link"
            if stat.S_ISLNK(kind)
            else "a folder"
            if stat.S_ISDIR(kind)
            else "a pipe or a device"
        )
        raise OutputError(f"cannot write {path}: it is {what}, so remove it or use another folder")


def _claim(stream: io.FileIO, path: Path, busy: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(busy) from None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise OutputError(f"cannot lock {path}: {error.strerror or error}") from error
        go_on_without(path, "has no locks, so two programs could write to one folder")
