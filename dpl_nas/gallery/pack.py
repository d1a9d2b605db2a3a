"""The packed files of thumbnails: how they are written, checked and read.

A pack is a zip file without compression: sheets of thumbnails as WebP beside an index in JSON.
Its hash is in ``packs.json``; it is compared before anything else is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery.picture import THUMBNAIL, Picture
from dpl_nas.io.files import read_bytes, read_sealed
from dpl_nas.io.json_values import parse_json
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.process.threads import usable_cores

__all__ = ["HASHES", "PACKS", "Gallery", "hash_of", "load_gallery", "pack", "read_gallery"]

#: The packs: pictures that weights may be trained on, and those for evaluation only.
PACKS = ("pictures", "openmoji")
#: The file with the hashes of the packs.
HASHES = "packs.json"

_FORMAT = "dpl_nas gallery 1"
_INDEX = "index.json"
#: Thumbnails in a row and in a sheet.
_ROW, _SHEET = 16, 256
_QUALITY, _ALPHA_QUALITY, _EFFORT = 80, 60, 4
#: The date of every member, so that equal content is an equal file.
_DATE = (1980, 1, 1, 0, 0, 0)
#: Most sheets that are decoded at a time.
_MOST_THREADS = 8
_REMEDY = "install dpl_nas again, or make it with python -m dpl_nas.gallery.build"


@dataclass(frozen=True)
class Gallery:
    """Thumbnails and what they show.

    Attributes
    ----------
    pictures
        The pictures, grouped by style.
    """

    pictures: tuple[Picture, ...]
    #: The sheets, and the sheet and the cell of each picture.
    _sheets: tuple[bytes, ...] = field(repr=False)
    _places: NDArray[np.int64] = field(repr=False)
    _decoded: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    __repr__ = short_repr

    def thumbnails(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return RGBA thumbnails ``(n, THUMBNAIL, THUMBNAIL, 4)`` of some pictures.

        What is transparent is black. Sheets are kept once they are decoded.

        Raises
        ------
        ConfigError
            If an index is not that of a picture.
        """
        places = self._places[self._checked(indices)]
        found = np.empty((len(places), THUMBNAIL, THUMBNAIL, 4), dtype=np.uint8)
        sheets = [int(sheet) for sheet in np.unique(places[:, 0])]
        self._decode(sheets)
        for sheet in sheets:
            chosen = np.flatnonzero(places[:, 0] == sheet)
            row, column = np.divmod(places[chosen, 1], _ROW)
            found[chosen] = self._decoded[sheet][row, column]
        # Not left to the decoder: two of them may fill what nobody sees in two ways.
        found[found[..., 3] == 0] = 0
        return found

    def thumbnail(self, index: int) -> Image.Image:
        """Return one thumbnail as an RGBA image."""
        return Image.fromarray(self.thumbnails([index])[0])

    def _checked(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        # numpy would round numbers down, count from the end, and take a mask for numbers.
        found = np.asarray(indices)
        whole = found.ndim == 1 and (found.dtype.kind in "iu" or not found.size)
        if not whole or not ((found >= 0) & (found < len(self.pictures))).all():
            raise ConfigError(
                f"indices should be a list of whole numbers from 0 to {len(self.pictures) - 1}, "
                f"found {abbreviate(indices)}"
            )
        return found.astype(np.int64)

    def _decode(self, sheets: Sequence[int]) -> None:
        new = [sheet for sheet in sheets if sheet not in self._decoded]
        # Pillow decodes without Python's lock.
        with ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS)) as pool:
            self._decoded.update(
                zip(new, pool.map(_cells, [self._sheets[i] for i in new]), strict=True)
            )


def load_gallery(*packs: str) -> Gallery:
    """Return the pictures that ship with the package: all, or those of some of `PACKS`.

    Raises
    ------
    CheckpointError
        If a pack is absent or damaged.
    ConfigError
        If there is no pack of such a name.
    """
    for name in packs:
        if name not in PACKS:
            raise ConfigError(
                f"the packs of pictures are {' and '.join(PACKS)}, found {abbreviate(name)}"
            )
    return _load_shipped(tuple(name for name in PACKS if name in packs) or PACKS)


@cache
def _load_shipped(packs: tuple[str, ...]) -> Gallery:
    return read_gallery(Path(__file__).parent, packs)


def read_gallery(folder: Path, packs: Sequence[str] = PACKS) -> Gallery:
    """Read packs from a folder that ``dpl_nas.gallery.build`` has written.

    Raises
    ------
    CheckpointError
        If a pack is absent, damaged, or not the one whose hash is stored beside it.
    """
    hashes = read_sealed(folder / HASHES, _REMEDY)
    pictures: list[Picture] = []
    sheets: list[bytes] = []
    places: list[NDArray[np.int64]] = []
    for name in packs:
        path = folder / f"{name}.zip"
        content = read_bytes(path)
        if hash_of(content) != hashes.get(name):
            raise CheckpointError(
                f"{path} is damaged or of another version: its hash is not the one in "
                f"{HASHES}, so {_REMEDY}"
            )
        try:
            found, own = _unpack(content)
        except (KeyError, IndexError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{path} is no pack of pictures ({error}): {_REMEDY}") from error
        order = np.arange(len(found))
        places.append(np.stack([order // _SHEET + len(sheets), order % _SHEET], axis=1))
        pictures += found
        sheets += own
    return Gallery(tuple(pictures), tuple(sheets), np.concatenate(places))


def pack(
    pictures: Sequence[Picture], thumbnails: NDArray[np.uint8], made_with: Mapping[str, str]
) -> bytes:
    """Return the content of a packed file: the same bytes for the same pictures and programs.

    Parameters
    ----------
    thumbnails
        RGBA pixels ``(n, THUMBNAIL, THUMBNAIL, 4)``.
    made_with
        Versions of the programs that made it, for whoever makes it again.
    """
    concepts: dict[tuple[Any, ...], int] = {}
    rows = []
    for each in pictures:
        concept = (each.code, each.name, each.tags, each.group, each.subgroup, each.tone)
        place = concepts.setdefault(concept, len(concepts))
        rows.append((each.style, each.licence, each.drawing, place))
    looks = list(dict.fromkeys(row[:2] for row in rows))
    index = {
        "format": _FORMAT,
        "made_with": dict(made_with),
        "styles": looks,
        "concepts": list(concepts),
        "pictures": [[looks.index(row[:2]), *row[2:]] for row in rows],
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        text = json.dumps(index, separators=(",", ":"), ensure_ascii=False)
        _add(archive, _INDEX, text.encode(), zipfile.ZIP_DEFLATED)
        for sheet, start in enumerate(range(0, len(pictures), _SHEET)):
            content = _draw_sheet(thumbnails[start : start + _SHEET])
            _add(archive, _name_of(sheet), content, zipfile.ZIP_STORED)
    return stream.getvalue()


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of a pack, in hex digits."""
    return hashlib.sha256(content).hexdigest()


def _unpack(content: bytes) -> tuple[list[Picture], list[bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        index = parse_json(archive.read(_INDEX).decode("utf-8"))
        if index["format"] != _FORMAT:
            raise ValueError("another format")
        sheets = -(-len(index["pictures"]) // _SHEET)
        read = [archive.read(_name_of(sheet)) for sheet in range(sheets)]
    concepts = [
        (code, name, tuple(tags), group, subgroup, tone)
        for code, name, tags, group, subgroup, tone in index["concepts"]
    ]
    pictures = []
    for look, drawing, place in index["pictures"]:
        style, licence = index["styles"][look]
        code, name, tags, group, subgroup, tone = concepts[place]
        pictures.append(
            Picture(
                style=style,
                code=code,
                drawing=drawing,
                name=name,
                tags=tags,
                group=group,
                subgroup=subgroup,
                tone=tone,
                licence=licence,
            )
        )
    return pictures, read


def _name_of(sheet: int) -> str:
    return f"sheets/{sheet:03d}.webp"


def _add(archive: zipfile.ZipFile, name: str, content: bytes, method: int) -> None:
    member = zipfile.ZipInfo(name, _DATE)
    member.compress_type = method
    archive.writestr(member, content, compresslevel=9)


def _draw_sheet(thumbnails: NDArray[np.uint8]) -> bytes:
    rows = -(-len(thumbnails) // _ROW)
    cells = np.zeros((rows * _ROW, *thumbnails.shape[1:]), dtype=np.uint8)
    cells[: len(thumbnails)] = thumbnails
    side = THUMBNAIL
    sheet = cells.reshape(rows, _ROW, side, side, 4).swapaxes(1, 2)
    stream = io.BytesIO()
    Image.fromarray(sheet.reshape(rows * side, _ROW * side, 4)).save(
        stream, "WEBP", quality=_QUALITY, alpha_quality=_ALPHA_QUALITY, method=_EFFORT
    )
    return stream.getvalue()


def _cells(content: bytes) -> NDArray[np.uint8]:
    """Decode a sheet: the cells of its rows, ``(rows, _ROW, THUMBNAIL, THUMBNAIL, 4)``."""
    with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
        pixels = np.asarray(image.convert("RGBA"))
    rows = len(pixels) // THUMBNAIL
    return pixels.reshape(rows, THUMBNAIL, _ROW, THUMBNAIL, 4).swapaxes(1, 2)
