"""Thumbnails: pictures cropped to what is drawn, on a square of nothing."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpl_nas.gallery.picture import THUMBNAIL

__all__ = ["crop_to_ink", "make_thumbnail", "open_image"]

#: Pixels, at most, of an image that is decoded.
_MOST_PIXELS = 1 << 24
#: Weaker alpha, or a smaller difference to a plain background, is no ink.
_FAINT = 12


def open_image(content: bytes) -> Image.Image:
    """Return the picture in a PNG or WebP file as RGBA.

    Raises
    ------
    ValueError
        If it is none, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "WEBP"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            return image.convert("RGBA")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"it is no readable image: {error}") from error


def crop_to_ink(image: Image.Image) -> Image.Image | None:
    """Return the part that is drawn on, without a margin; ``None`` if nothing is drawn.

    A margin is transparent, or of one opaque colour that all four corners have.
    """
    pixels = np.asarray(image)
    ink = pixels[..., 3] > _FAINT
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
    if (corners[:, 3] == 255).all() and np.ptp(corners, axis=0).max() <= _FAINT:
        ink &= np.abs(pixels.astype(int) - corners[0]).max(axis=-1) > _FAINT
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


def make_thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """Return RGBA pixels ``(THUMBNAIL, THUMBNAIL, 4)`` with the picture in the middle.

    What is transparent is black, so that equal looks are equal bytes.
    """
    share = THUMBNAIL / max(image.size)
    width, height = (max(1, round(side * share)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0)
    square = np.zeros((THUMBNAIL, THUMBNAIL, 4), dtype=np.uint8)
    left, top = (THUMBNAIL - width) // 2, (THUMBNAIL - height) // 2
    square[top : top + height, left : left + width] = np.asarray(small)
    square[square[..., 3] == 0] = 0
    return square
