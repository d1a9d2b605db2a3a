"""The task ``pictures/photos``: photographs that may not be shipped, where they are installed."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpl_nas.errors import CheckpointError, DplWarning, TaskError
from dpl_nas.gallery.ink import crop_to_ink, make_thumbnail, open_image
from dpl_nas.gallery.packages import PHOTOGRAPHS
from dpl_nas.io.files import read_bytes
from dpl_nas.io.text import make_printable

__all__ = ["PLACE", "find_photographs", "read_photograph"]

#: Environment variable: the folder of the photographs, if it is another one.
PLACE = "DPL_NAS_STAMPS"

_INSTALLED = Path("/usr/share/tuxpaint/stamps")
#: The folders of each class, with all below them.
_FOLDERS = {
    "bird": ("animals/birds",),
    "coin": (
        "symbols/money/canadian",
        "symbols/money/euro",
        "symbols/money/japanese",
        "symbols/money/us",
    ),
    "flower": ("plants/flowers",),
    "fruit": ("food/fruit",),
    "household item": ("household",),
    "mammal": ("animals/mammals", "animals/marsupials"),
    "road sign": ("town/roadsigns",),
    "small animal": (
        "animals/amphibians",
        "animals/fish",
        "animals/insects",
        "animals/lizards",
        "animals/shellfish",
    ),
    "vegetable or nut": ("food/nuts", "food/vegetables", "plants/mushrooms"),
    "vehicle": ("vehicles",),
}
#: Folders of drawings and models.
_NO_PHOTOGRAPHS = frozenset({"cartoon", "plastic", "toys"})
#: What follows the name of a thing in a second photograph of it; and things that have no first one.
_NUMBER = re.compile("[-_]?[0-9]+(_(green|red|yellow))?$")
_SEVERAL = frozenset({"stoplight"})
_MOST_BYTES = 32 << 20
#: The SHA-256 of the names and hashes of all photographs of the package.
_HASH = "e7d24140d2ed0f468dd616403f51dfdb0d5d7efd891495bcef906e1dd90f2885"
#: Things of a class: one for the shots and one for the test.
_LEAST = 2


def find_photographs() -> dict[str, dict[str, list[Path]]]:
    """Return the files of each thing of each class.

    Warn if they are not those of the package: the task is another one then.

    Raises
    ------
    TaskError
        If the photographs are not installed, or a class has too few of them.
    """
    root = Path(os.environ.get(PLACE) or _INSTALLED)
    found = {name: _things(root, folders) for name, folders in _FOLDERS.items()}
    if min(map(len, found.values())) < _LEAST:
        raise TaskError(
            f"pictures/photos needs the photographs of Debian's package {PHOTOGRAPHS.name}, whose "
            f"licences do not allow us to ship them, and {make_printable(str(root))} does not hold "
            f"them all: install it, or extract it with dpkg-deb -x and set {PLACE} to the folder "
            "usr/share/tuxpaint/stamps in it"
        )
    files = [path for things in found.values() for same in things.values() for path in same]
    if _hash(root, files) != _HASH:
        warnings.warn(
            f"{make_printable(str(root))} holds other photographs than {PHOTOGRAPHS.name} "
            f"{PHOTOGRAPHS.version}, so pictures/photos is not the task that others have: install "
            "this version to compare results",
            DplWarning,
            stacklevel=2,
        )
    return found


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """Return the RGBA thumbnail of a photographed thing.

    Raises
    ------
    TaskError
        If the file is not a readable picture.
    """
    content = _read(path)
    try:
        image = crop_to_ink(open_image(content))
    except ValueError as error:
        raise _unreadable(path, error) from error
    if image is None:
        raise TaskError(f"{make_printable(str(path))} is empty: install {PHOTOGRAPHS.name} again")
    return make_thumbnail(image)


def _things(root: Path, folders: tuple[str, ...]) -> dict[str, list[Path]]:
    """Return the photographs by what they show: a second one of a thing goes with the first."""
    files = [
        path
        for folder in folders
        for path in sorted((root / folder).rglob("*.png"))
        if not _NO_PHOTOGRAPHS & set(path.relative_to(root).parts)
        and not path.stem.endswith("_mirror")
    ]
    known = {path.with_suffix("") for path in files}
    things: dict[str, list[Path]] = {}
    for path in files:
        plain = path.with_suffix("")
        first = plain.with_name(_NUMBER.sub("", plain.name) or plain.name)
        thing = first if first in known or first.name in _SEVERAL else plain
        things.setdefault(thing.relative_to(root).as_posix(), []).append(path)
    return things


def _hash(root: Path, paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the names and contents of files, in hex digits."""
    digest = hashlib.sha256()
    for name, path in sorted((os.fsencode(path.relative_to(root)), path) for path in paths):
        digest.update(name + b"\0" + hashlib.sha256(_read(path)).digest())
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except CheckpointError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TaskError:
    return TaskError(
        f"{make_printable(str(path))} is not a readable picture ({error}): install "
        f"{PHOTOGRAPHS.name} again"
    )
