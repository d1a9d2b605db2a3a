"""Files that are written whole or not at all, and read with a clear complaint."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dpl_nas.errors import CheckpointError, OutputError

__all__ = [
    "atomic_path",
    "claim",
    "is_temporary",
    "names_in",
    "read_json",
    "remove_temporaries",
    "sync_folder",
    "write_bytes",
    "write_json",
    "write_text",
]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` on success.

    The data are on disk (fsync) before the rename, so after a crash ``path`` holds
    either its old content or the whole new one. On an error the temporary is removed.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unlike tempfile's private files, this one is as readable as any other result.
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        # Some writers (safetensors) put a private file of their own in its place.
        temporary.chmod(mode)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def claim(stream: IO[Any], busy: str) -> None:
    """Be the only process that claims an open file, until it is closed.

    Raises
    ------
    OutputError
        With the sentence ``busy``, if another process has claimed it.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(busy) from None


def is_temporary(path: Path) -> bool:
    """Whether :func:`atomic_path` would call a temporary file so."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", path.name) is not None


def names_in(folder: Path) -> set[str]:
    """What ``folder`` holds, but for temporary files that a killed program may have left."""
    return {path.name for path in folder.iterdir() if not is_temporary(path)}


def remove_temporaries(folder: Path) -> None:
    """Remove what :func:`atomic_path` left in ``folder`` when its process was killed.

    Nobody else may be writing there. Of a folder that is not there, nothing is left.

    Raises
    ------
    OutputError
        If one cannot be removed.
    """
    try:
        for path in folder.iterdir() if folder.is_dir() else ():
            if is_temporary(path) and not path.is_dir():
                path.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot remove temporary files in {folder}: {error.strerror or error}"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names of new files in ``folder`` as durable as their content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically.

    For what torch and safetensors make: when they write files themselves, a full disk surfaces
    as an error that does not say so.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` atomically as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    CheckpointError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except (OSError, RecursionError, ValueError) as error:
        raise CheckpointError(f"{path} is not a readable JSON file: {error}") from error
