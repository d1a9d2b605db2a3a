"""The ledger of a search: each cost and result is on disk before it counts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_bytes, sync, sync_name
from dpl_nas.io.json_values import parse_json, seal, unseal
from dpl_nas.io.locks import claim_file
from dpl_nas.io.paths import AnyPath
from dpl_nas.process.threads import tell_other_threads

__all__ = ["Ledger", "read_ledger"]

#: Version of the format: lines of other versions mean something else.
_VERSION = 3


class Ledger:
    """An append-only file of JSON lines with one writer.

    The first line says which search the ledger belongs to; each has a checksum. A line
    counts once :meth:`append` has returned: then it is on disk (fsync). After a crash, an
    incomplete last line is cut off.

    Parameters
    ----------
    path
        Path of the file; made if it is not there.
    identity
        Plain values that say which search the ledger belongs to. A file with others is refused.
    threads
        Number of threads of a trial. A file with another number is told.

    Attributes
    ----------
    entries
        All lines but the first, including lines of earlier processes.

    Raises
    ------
    OutputError
        If another process writes to it, it belongs to another search, or it cannot be written.
    CheckpointError
        If any line but the last is damaged.
    """

    def __init__(
        self, path: AnyPath, identity: Mapping[str, Any], threads: int | None = None
    ) -> None:
        self._path = path = Path(path)
        self._threads = threads
        # The same values as read from a file: tuples become lists.
        of = json.loads(json.dumps(identity))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        # Closed in __exit__ and on any error below.
        self._file: BinaryIO = claim_file(
            path, f"{path} is in use by a search that is still going: wait, or use another folder"
        )
        try:
            self.entries = self._recover(of)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release it; closing twice is no error."""
        self._file.close()

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a line; when this returns, it is on disk.

        Raises
        ------
        OutputError
            If it cannot be written. Then the ledger is as it was.
        """
        kept = dict(entry)
        self._write(seal(kept))
        self.entries.append(kept)

    def _recover(self, identity: dict[str, Any]) -> list[dict[str, Any]]:
        content = read_bytes(self._path)
        lines, self._whole = _parse(self._path, content)
        head = seal({"ledger": _VERSION, "of": identity, "threads": self._threads})
        if not lines and not _begins_a_ledger(content, len(json.dumps(head)) + 1):
            raise CheckpointError(f"{self._path} is not a ledger: use another folder")
        self._file.truncate(self._whole)
        if not lines:
            self._write(head)
            sync_name(self._path)
            return []
        found = lines[0]["of"]
        different = [key for key in identity if found.get(key) != identity[key]]
        if different:
            raise OutputError(
                f"{self._path} belongs to a search with other settings ({', '.join(different)}): "
                "resume it with the same settings, or use another folder"
            )
        if self._threads is not None:
            tell_other_threads(self._path.parent, lines[0].get("threads"), self._threads)
        return lines[1:]

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        try:
            if os.fstat(self._file.fileno()).st_size != self._whole:
                # Half a line that could not be removed would spoil the lines after it.
                self._file.truncate(self._whole)
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            sync(self._file.fileno(), self._path)
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._whole)
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._whole += len(line)


@checked(CheckpointError)
def read_ledger(path: AnyPath) -> list[dict[str, Any]]:
    """Read the lines of a ledger after the first; another process may still write to it.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is not a ledger.
    """
    path = Path(path)
    try:
        lines, _ = _parse(path, read_bytes(path))
    except CheckpointError as error:
        raise CheckpointError(f"cannot read a ledger: {error}") from error
    if not lines:
        raise CheckpointError(
            f"{path} is not a ledger of this version of dpl_nas: give another file"
        )
    return lines[1:]


def _begins_a_ledger(content: bytes, most: int) -> bool:
    """Whether a file without a whole line was to become a ledger: all begin alike.

    After a crash, a file may have its length and not yet its content; but the first line, of
    ``most`` bytes, was on disk before there was a second one.
    """
    head = b'{"ledger": '
    if content.startswith(head) or head.startswith(content):
        return True
    return len(content) <= most and not content.strip(b"\0\n")


def _parse(path: Path, content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The complete lines of a ledger, and their number of bytes."""
    lines: list[dict[str, Any]] = []
    whole = 0
    parts = content.split(b"\n")
    # A line without its newline was never complete.
    for number, part in enumerate(parts[:-1], start=1):
        try:
            line = parse_json(part)
        except (json.JSONDecodeError, UnicodeDecodeError):
            line = None
        except ValueError:
            raise _damaged(path, number) from None
        if not isinstance(line, dict):
            if number == len(parts) - 1 and not parts[-1]:
                # The disk may have written the end of a line without its middle.
                break
            raise _damaged(path, number)
        head = line.get("ledger") == _VERSION and isinstance(line.get("of"), dict)
        if number == 1 and not head:
            raise CheckpointError(
                f"{path} is not a ledger of this version of dpl_nas: use another folder"
            )
        try:
            line = unseal(line)
        except ValueError:
            raise _damaged(path, number) from None
        lines.append(line)
        whole += len(part) + 1
    return lines, whole


def _damaged(path: Path, number: int) -> CheckpointError:
    return CheckpointError(
        f"line {number} of {path} is damaged: restore the file, or use another folder"
    )
