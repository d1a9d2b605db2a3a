"""Members of ``.tgz`` and ``.deb`` files, read without running or unpacking anything."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import open_file

__all__ = ["read_members"]

#: Largest member that is read, and all of them together, in bytes.
_MOST_OF_ONE = 64 << 20
_MOST_OF_ALL = 4 << 30
_MOST_MEMBERS = 100_000

_AR = b"!<arch>\n"
_AR_HEADER = 60


def read_members(
    path: Path, wanted: Callable[[str], bool], most: int = _MOST_OF_ONE
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the regular files that are ``wanted``, in the archive's order.

    Links, devices and folders are skipped; names are only compared, never used as paths.

    Parameters
    ----------
    most
        Most bytes of a member.

    Raises
    ------
    CheckpointError
        If the file is no such archive, or holds more than such packages do.
    """
    with open_file(path) as stream:
        try:
            source = _data_of_deb(stream) if path.suffix == ".deb" else stream
            with tarfile.open(fileobj=source, mode="r|*") as archive:
                yield from _members(path, archive, wanted, most)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is not a readable archive ({error}): download it again"
            ) from error


def _members(
    path: Path, archive: tarfile.TarFile, wanted: Callable[[str], bool], most: int
) -> Iterator[tuple[str, bytes]]:
    read = 0
    for count, member in enumerate(archive):
        read += member.size
        if count >= _MOST_MEMBERS or read > _MOST_OF_ALL:
            raise CheckpointError(f"{path} holds too much for such a package")
        name = member.name.removeprefix("./")
        if not member.isfile() or not wanted(name):
            continue
        if member.size > most:
            raise CheckpointError(f"{path}: {name:.100} is larger than {most:,} bytes")
        content = archive.extractfile(member)
        if content is not None:
            yield name, content.read()


def _data_of_deb(stream: BinaryIO) -> BinaryIO:
    """Return the archive ``data.tar.*`` inside a Debian package, which is an ``ar`` file."""
    if stream.read(len(_AR)) != _AR:
        raise ValueError("no Debian package")
    while len(header := stream.read(_AR_HEADER)) == _AR_HEADER:
        name, size = header[:16].decode("ascii").strip(), int(header[48:58])
        if name.startswith("data.tar"):
            return io.BytesIO(stream.read(size))
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("a Debian package without data")
