"""Files that are written atomically and read with clear errors."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from dpl_nas.errors import CheckpointError, DplWarning, OutputError, shorten
from dpl_nas.io.json_values import CHECKSUM, parse_json, seal, unseal

__all__ = [
    "MAX_BYTES",
    "UNSUPPORTED",
    "WEAK",
    "atomic_path",
    "go_on_without",
    "is_regular",
    "make_folder",
    "names_in",
    "open_file",
    "read_bytes",
    "read_json",
    "read_sealed",
    "sync",
    "sync_name",
    "temporary_of",
    "write_bytes",
    "write_json",
    "write_text",
    "write_through",
]

#: Largest size of a text file that programs write; a larger file is something else.
MAX_BYTES = 100_000_000

#: Error codes of network and user-space file systems for unsupported operations.
UNSUPPORTED = frozenset(
    {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY, errno.EOPNOTSUPP}
)


#: Environment variable: go on in folders without locks or without fsync.
WEAK = "DPL_NAS_WEAK_FOLDERS"


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
    if not path.name:
        raise OutputError(f"{str(path)!r} is no name of a file: give the path of one")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unlike tempfile's private files, this one is as readable as any other result.
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        # Some writers put a private file of their own in its place.
        if temporary.stat().st_mode != mode:
            temporary.chmod(mode)
        with temporary.open("rb") as stream:
            sync(stream.fileno(), path)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_name(path)


def temporary_of(path: Path) -> str | None:
    """The file that :func:`atomic_path` would write under this temporary name; or ``None``."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}\.tmp", path.name, re.DOTALL)
    return found and found[1]


def names_in(folder: Path) -> set[str]:
    """Return the names in ``folder``, except temporary files of a killed program."""
    return {path.name for path in folder.iterdir() if temporary_of(path) is None}


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there already is fine.

    Raises
    ------
    OutputError
        If something else is there, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{path} is a file, not a folder: use another path") from None
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {error.strerror or error}") from error


def is_regular(path: Path) -> bool:
    """Return whether the path is a regular file: no folder, link, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading. Pipes and devices, which may be endless, are refused.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or is not a regular file.
    """
    try:
        # Checked first: opening a device may have side effects.
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise CheckpointError(f"{path} is a folder: give a file")
        if not stat.S_ISREG(kind):
            raise CheckpointError(f"{path} is a pipe or a device: give a file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            yield stream
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise CheckpointError(f"{str(path)!r} is not a file name: give a file") from None


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a file.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is not regular, or is larger than ``most`` bytes.
    """
    with open_file(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise CheckpointError(f"{path} is larger than {most:,} bytes: give another file")
    return content


def sync(descriptor: int, path: Path) -> None:
    """Wait until what was written to ``path`` is on disk.

    Raises
    ------
    OutputError
        If the file system does not support this, unless :data:`WEAK` is set.
    OSError
        If this fails for another reason.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        go_on_without(path, "cannot tell whether files are on disk, so a crash could lose work")


def go_on_without(path: Path, what: str) -> None:
    """Go on, with a note, if a file system lacks a feature and :data:`WEAK` is set.

    Raises
    ------
    OutputError
        If :data:`WEAK` is not set.
    """
    if not os.environ.get(WEAK):
        raise OutputError(
            f"the file system of {path} {what}: use a folder on another file system, or set "
            f"{WEAK}=1 to go on anyway"
        )
    warnings.warn(f"the file system of {path.parent} {what}", DplWarning, stacklevel=3)


def sync_name(path: Path) -> None:
    """Make the name of a new file as durable as its content.

    Raises
    ------
    OutputError
        If this fails for another reason.
    """
    try:
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # A folder may be written to and not be read.
        return
    try:
        sync(handle, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically.

    It is used for torch and safetensors: when they write files themselves, a full disk gives
    an unclear error.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_through(path: Path, content: bytes) -> None:
    """Write ``content`` to what a person has named, and leave what it is as it is.

    A regular file is written atomically, and a link stays: its target is written. A pipe or a
    device, and all of ``/dev`` and ``/proc``, is opened and written to.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        other = not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        # It is not there yet.
        other = False
    # Such as /dev/stdout, which may be a file that somebody else goes on writing to.
    if not other and path.absolute().parts[1:2] not in {("dev",), ("proc",)}:
        write_bytes(Path(os.path.realpath(path)), content)
        return
    try:
        with path.open("wb", buffering=0) as stream:
            left = memoryview(content)
            while left:
                left = left[stream.write(left) :]
    except OSError as error:
        raise OutputError(f"cannot write to {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` atomically as indented JSON; a mapping with its checksum."""
    content = seal(value) if isinstance(value, Mapping) else value
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, which somebody may have written by hand.

    A checksum, if present, is verified and removed.

    Raises
    ------
    CheckpointError
        If the file is missing, is not JSON, or does not fit its checksum.
    """
    value = _read(path)
    if not isinstance(value, dict) or CHECKSUM not in value:
        return value
    return _unseal(path, value, f"restore the file, or remove the key {CHECKSUM} if you changed it")


def read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """Read a mapping that :func:`write_json` wrote.

    Parameters
    ----------
    remedy
        Advice if the file is damaged, such as "remove it to start afresh".

    Raises
    ------
    CheckpointError
        If the file is missing, is not JSON, or has no checksum or a wrong one.
    """
    value = _read(path, remedy)
    if not isinstance(value, dict) or CHECKSUM not in value:
        raise CheckpointError(
            f"{path} has no checksum ({CHECKSUM}), so it is damaged, changed by hand or of another "
            f"version of dpl_nas: {remedy}"
        )
    return _unseal(path, value, remedy)


def _read(path: Path, remedy: str = "") -> Any:
    content = read_bytes(path)
    try:
        return parse_json(content.decode("utf-8"))
    except ValueError as error:
        problem = _problem(error)
        raise CheckpointError(
            f"{path} is not a readable JSON file: {problem}{remedy and f'; {remedy}'}"
        ) from error


def _problem(error: ValueError) -> str:
    """Say what is wrong, without the words of Python's decoders."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it breaks off, or is something else, at line {error.lineno}, column {error.colno}"
    return shorten(str(error))


def _unseal(path: Path, value: dict[str, Any], remedy: str) -> dict[str, Any]:
    try:
        return unseal(value)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}): {remedy}") from None
