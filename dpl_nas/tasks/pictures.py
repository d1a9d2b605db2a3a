"""The one reader of pictures: whatever Pillow reads, as 8-bit RGB.

A picture looks as in a viewer: it is turned as its EXIF orientation says, transparent parts are put
on a background, and 16-bit grey and floats from 0 to 1 are scaled. Pixels that have no known
meaning as a colour are refused. No file is given to another program, and only regular files are
opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, UnidentifiedImageError

from dpl_nas.errors import TaskError, shorten
from dpl_nas.io.text import make_printable

__all__ = [
    "Encoded",
    "check_picture",
    "colour",
    "content",
    "file_size",
    "has_picture_name",
    "is_picture",
    "read_picture",
    "show_picture",
]

#: Largest number of pixels; Pillow's limit is the same.
_MOST_PIXELS = 2 * (1 << 30) // 12

#: Pillow hands EPS to Ghostscript, which runs it as a program. It reads only heads of the others.
_UNREADABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

#: Formats whose further pictures are previews, layers or other sizes of the first.
_ONE_PICTURE = {"CUR", "ICNS", "ICO", "MPO", "PSD"}

_CHANNELS = 3
#: The most characters of a path in a message.
_LONGEST = 300

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
#: TIFF's code of signed whole numbers.
_SIGNED = 2
#: Our own key in the information on a PNG: the bits of a grey pixel.
_BITS = "dpl_nas bits"


class Encoded(NamedTuple):
    """The content of a file that is no file here, and what to call it."""

    name: str
    content: bytes


def read_picture(source: str | Encoded, background: str = "white") -> Image.Image:
    """Read the RGB image in a file, or the first of several.

    Parameters
    ----------
    source
        Path of the file, or its content.
    background
        Background colour where the image is transparent: a name or ``#rrggbb``.

    Raises
    ------
    TaskError
        If it is not a regular file, not a readable image, has more pixels than Pillow allows, or
        has values without a known black and white.
    """
    with _told(_name(source)), _opened(source) as image:
        return _shown(image, background)


def show_picture(name: str, image: Image.Image, background: str = "white") -> Image.Image:
    """Return an image of Pillow's as :func:`read_picture` does that of a file.

    Parameters
    ----------
    name
        What to call it.

    Raises
    ------
    TaskError
        If its values have no known meaning as colours.
    """
    with _told(name):
        return _shown(image, background)


def check_picture(source: str | Encoded) -> bool:
    """Return whether :func:`read_picture` skips further frames or pages of a readable image.

    The sums of a PNG are verified, as its pixels need not show that it is damaged.

    Raises
    ------
    TaskError
        If it is not a readable image, or a damaged one.
    """
    with _told(_name(source)), _opened(source) as image:
        several = image.format not in _ONE_PICTURE and bool(getattr(image, "is_animated", False))
        _shown(image, "white")
        if image.format == "PNG":
            _check_sums(source)
        return several


def has_picture_name(name: str) -> bool:
    """Return whether the name of a file has the suffix of an image."""
    return name[name.rfind(".") :].lower() in _suffixes()


def is_picture(path: str, *, regular: bool) -> bool:
    """Return whether the name or, if its suffix is unknown, the first bytes mean an image.

    Parameters
    ----------
    regular
        Whether the path is a regular file, or a link to one; nothing else is opened.

    Raises
    ------
    TaskError
        If it has the name of an image and is not a regular file, or cannot be opened.
    """
    if has_picture_name(Path(path).name):
        if not regular:
            raise TaskError(
                f"{make_printable(path)} has the name of an image but is neither a file nor a "
                "link to one: replace or remove it"
            )
        return True
    try:
        if not regular:
            return False
        with _opened(path):
            return True
    except PermissionError as error:
        raise TaskError(f"cannot read {make_printable(path)}: {error.strerror}") from error
    except Exception:  # noqa: BLE001 - Pillow's readers raise errors of many kinds
        return False


def content(path: str, last: int | None = None) -> bytes:
    """Return the bytes of a regular file, or its ``last`` ones.

    Raises
    ------
    TaskError
        If there is none, or it cannot be read.
    """
    with _told(path), _regular(path) as stream:
        if last is not None:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - last))
        return stream.read()


def file_size(path: str) -> int:
    """Return the number of bytes of a file.

    Raises
    ------
    TaskError
        If there is none.
    """
    with _told(path):
        return Path(path).stat().st_size


def colour(name: str) -> tuple[int, int, int]:
    """Return red, green and blue of a name such as ``white``, or of ``#rrggbb``.

    Raises
    ------
    ValueError
        If it is neither, or not opaque.
    """
    expected = "expected the name of a colour, such as white, or '#rrggbb' in quotes"
    try:
        found = ImageColor.getrgb(name)
    except ValueError:
        raise ValueError(expected) from None
    if len(found) != _CHANNELS:
        raise ValueError(expected)
    return found[0], found[1], found[2]


@contextmanager
def _told(path: str) -> Iterator[None]:
    shown = shorten(make_printable(path), _LONGEST)
    try:
        yield
    except TaskError:
        raise
    except Exception as error:
        # Pillow's readers raise errors of many kinds.
        if isinstance(error, FileNotFoundError):
            hint = ", or write / for \\ in its path" if "\\" in path else ""
            raise TaskError(
                f"{shown} is not a readable image (it does not exist): restore it{hint}"
            ) from error
        if isinstance(error, UnidentifiedImageError):
            reason = "Pillow does not know its format"
        else:
            reason = getattr(error, "strerror", None) or str(error)
        reason = make_printable(" ".join(reason.split())) or type(error).__name__
        raise TaskError(
            f"{shown} is not a readable image ({reason:.200}): repair or remove it"
        ) from error


def _name(source: str | Encoded) -> str:
    return source if isinstance(source, str) else source.name


@contextmanager
def _stream(source: str | Encoded) -> Iterator[BinaryIO]:
    if isinstance(source, str):
        with _regular(source) as stream:
            yield stream
    elif source.content:
        yield BytesIO(source.content)
    else:
        raise ValueError("it is empty")


@contextmanager
def _regular(path: str) -> Iterator[BinaryIO]:
    # Checked first: opening a device may have side effects. If a FIFO replaces the file meanwhile,
    # O_NONBLOCK does not wait for its writer.
    _check_regular(Path(path).stat())
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        status = os.fstat(stream.fileno())
        _check_regular(status)
        if not status.st_size:
            raise ValueError("it is empty")
        yield stream


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")


@contextmanager
def _opened(source: str | Encoded) -> Iterator[Image.Image]:
    """Open an image and read only its head."""
    formats = [*_signed(), *_unsigned(Path(_name(source)).suffix.lower())]
    with _stream(source) as stream, Image.open(stream, formats=formats) as image:
        width, height = image.size
        if width * height > _MOST_PIXELS:
            raise ValueError(
                f"it has {width} x {height} pixels, more than the limit of {_MOST_PIXELS:,}"
            )
        raw = str(image.tile[0][3]) if image.format == "PNG" and image.tile else ""
        if raw in {"L;2", "L;4"}:
            # Once the pixels are read, Pillow no longer tells how many bits they had.
            image.info[_BITS] = int(raw[-1])
        yield image


def _check_sums(source: str | Encoded) -> None:
    """Raise an error for damage to a PNG that its pixels do not show: Pillow would miss it."""
    with _stream(source) as stream, Image.open(stream, formats=["PNG"]) as image:
        image.verify()


@cache
def _suffixes() -> dict[str, str]:
    """The formats that can be read, by the suffixes of their names."""
    known = Image.registered_extensions()
    return {
        suffix: kind
        for suffix, kind in known.items()
        if kind in Image.OPEN and kind not in _UNREADABLE
    }


@cache
def _signed() -> tuple[str, ...]:
    """The formats whose files begin with a signature."""
    Image.init()
    return tuple(
        kind
        for kind in Image.ID
        if kind in Image.OPEN and kind not in _UNREADABLE and Image.OPEN[kind][1] is not None
    )


def _unsigned(suffix: str) -> tuple[str, ...]:
    """The format that only the suffix tells: Pillow would take nearly any file for one of these."""
    kind = _suffixes().get(suffix)
    return (kind,) if kind is not None and kind not in _signed() else ()


def _shown(image: Image.Image, background: str) -> Image.Image:
    """Decode an image, and show it as a viewer does."""
    image.load()
    turn = _turn(image)
    shown = _rgb(image, background)
    return shown if turn is None else shown.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(int(image.getexif().get(_ORIENTATION, 1)))
    except Exception:  # noqa: BLE001 - viewers ignore damaged EXIF data, too
        return None


def _rgb(image: Image.Image, background: str) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    if image.mode == "L" and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED:
        raise ValueError("its pixels are signed numbers without a known black and white")
    if image.mode == "F" and tags.get(_PHOTOMETRIC) == 0:
        raise ValueError(
            "its pixels are floating-point numbers with 0 as white: save it with 8 bits"
        )
    _scale_key(image)
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image, background)
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    below = Image.new("RGBA", image.size, colour(background))
    below.alpha_composite(image.convert("RGBA"))
    return below.convert("RGB")


def _scale_key(image: Image.Image) -> None:
    """Scale the grey that stands for transparency as Pillow has scaled the pixels."""
    key = image.info.get("transparency")
    bits = image.info.get(_BITS)
    if image.mode == "L" and isinstance(key, int) and bits is not None:
        image.info["transparency"] = key * 255 // (2**bits - 1)


def _grey(image: Image.Image, background: str) -> Image.Image:
    """One number a pixel, of more than 8 bits."""
    values = np.asarray(image)
    grey = Image.fromarray(_floats(values) if image.mode == "F" else _whole_numbers(image, values))
    rgb = grey.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, int):
        rgb.paste(colour(background), mask=Image.fromarray(values == key))
    return rgb


def _floats(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    # Written so that NaN fails, too.
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"its pixels are floating-point numbers from {low:.4g} to {high:.4g}, not from 0 to 1: "
            "save it with 8 bits"
        )
    return np.asarray(np.rint(values * 255), dtype=np.uint8)


def _whole_numbers(image: Image.Image, values: NDArray[np.integer]) -> NDArray[np.uint8]:
    tags = getattr(image, "tag_v2", {})
    bits = 16
    if image.format == "TIFF":
        bits = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
        unsigned = tags.get(_SAMPLE_FORMAT, (1,))[0] == 1
        known = image.mode != "I" and unsigned and bits <= 16
    else:
        known = image.format in {"PNG", "PPM", "JPEG2000"}
    if not known:
        raise ValueError(
            f"its pixels are numbers from {values.min()} to {values.max()} without a known black "
            "and white: save it with 8 or 16 bits"
        )
    white = 2**bits - 1
    # Rounded to the nearest, as 255 * 65535 still fits.
    scaled = (values.astype(np.int64) * 255 + white // 2) // white
    if tags.get(_PHOTOMETRIC) == 0:
        scaled = 255 - scaled
    return np.asarray(scaled.clip(0, 255), dtype=np.uint8)
