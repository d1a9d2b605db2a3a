"""Signed-distance silhouettes of 26 shapes and of letters and digits in many faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt
from torch import Tensor

__all__ = [
    "ATLAS_SIZE",
    "BASIC_SHAPES",
    "DIGITS",
    "LETTERS",
    "RARE_SHAPES",
    "SHAPES",
    "glyph_atlas",
    "shape_atlas",
]

ATLAS_SIZE = 48
_RASTER = 192
#: Radius that contains the outlines; the rest of the tile is room for strokes.
_EXTENT = 0.8

DIGITS = tuple("0123456789")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

Points = Sequence[tuple[float, float]]


class _Pen:
    """A pen that draws or erases white on a raster, in coordinates of [-1, 1] (y down)."""

    def __init__(self) -> None:
        self.image = Image.new("L", (_RASTER, _RASTER), 0)
        self._draw = ImageDraw.Draw(self.image)

    def _at(self, points: Points) -> list[tuple[float, float]]:
        half = _RASTER / 2
        return [(half + half * _EXTENT * x, half + half * _EXTENT * y) for x, y in points]

    def polygon(self, points: Points, ink: int = 255) -> None:
        self._draw.polygon(self._at(points), fill=ink)

    def ellipse(self, x: float, y: float, rx: float, ry: float, ink: int = 255) -> None:
        self._draw.ellipse(self._at([(x - rx, y - ry), (x + rx, y + ry)]), fill=ink)

    def box(self, x0: float, y0: float, x1: float, y1: float, ink: int = 255) -> None:
        self._draw.rectangle(self._at([(x0, y0), (x1, y1)]), fill=ink)


def _polar(radii: Sequence[float], start: float = -math.pi / 2) -> Points:
    step = 2 * math.pi / len(radii)
    return [
        (r * math.cos(start + i * step), r * math.sin(start + i * step))
        for i, r in enumerate(radii)
    ]


def _curve(function: Callable[[float], tuple[float, float]], steps: int = 120) -> Points:
    return [function(2 * math.pi * i / steps) for i in range(steps)]


def _circle(pen: _Pen) -> None:
    pen.ellipse(0, 0, 0.95, 0.95)


def _oval(pen: _Pen) -> None:
    pen.ellipse(0, 0, 1.0, 0.52)


def _square(pen: _Pen) -> None:
    pen.box(-0.85, -0.85, 0.85, 0.85)


def _diamond(pen: _Pen) -> None:
    pen.polygon([(0, -1), (0.75, 0), (0, 1), (-0.75, 0)])


def _triangle(pen: _Pen) -> None:
    pen.polygon([(0, -0.95), (0.98, 0.8), (-0.98, 0.8)])


def _star(pen: _Pen) -> None:
    pen.polygon(_polar([1.0, 0.4] * 5))


def _heart(pen: _Pen) -> None:
    def outline(t: float) -> tuple[float, float]:
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        return x / 17, -y / 17 - 0.12

    pen.polygon(_curve(outline))


def _cross(pen: _Pen) -> None:
    pen.box(-0.3, -0.95, 0.3, 0.95)
    pen.box(-0.95, -0.3, 0.95, 0.3)


def _ring(pen: _Pen) -> None:
    pen.ellipse(0, 0, 0.98, 0.98)
    pen.ellipse(0, 0, 0.5, 0.5, ink=0)


def _crescent(pen: _Pen) -> None:
    pen.ellipse(-0.05, 0, 0.98, 0.98)
    pen.ellipse(0.45, 0, 0.82, 0.82, ink=0)


def _arrow(pen: _Pen) -> None:
    pen.box(-1.0, -0.22, 0.2, 0.22)
    pen.polygon([(0.1, -0.75), (1.0, 0), (0.1, 0.75)])


def _drop(pen: _Pen) -> None:
    pen.ellipse(0, 0.35, 0.62, 0.62)
    pen.polygon([(0, -1), (0.57, 0.1), (-0.57, 0.1)])


def _bolt(pen: _Pen) -> None:
    pen.polygon([(0.2, -1), (-0.65, 0.15), (-0.05, 0.15), (-0.25, 1), (0.65, -0.25), (0.08, -0.25)])


def _flower(pen: _Pen) -> None:
    for x, y in _polar([0.58] * 5):
        pen.ellipse(x, y, 0.4, 0.4)
    pen.ellipse(0, 0, 0.22, 0.22, ink=0)


def _gear(pen: _Pen) -> None:
    teeth: list[float] = []
    for _ in range(8):
        teeth += [1.0, 1.0, 0.68, 0.68]
    pen.polygon(_polar(teeth))
    pen.ellipse(0, 0, 0.3, 0.3, ink=0)


def _hourglass(pen: _Pen) -> None:
    pen.polygon([(-0.75, -0.95), (0.75, -0.95), (0.1, 0), (-0.1, 0)])
    pen.polygon([(-0.1, 0), (0.1, 0), (0.75, 0.95), (-0.75, 0.95)])


def _house(pen: _Pen) -> None:
    pen.polygon([(-1, -0.1), (0, -0.95), (1, -0.1)])
    pen.box(-0.72, -0.1, 0.72, 0.9)
    pen.box(-0.2, 0.35, 0.2, 0.9, ink=0)


def _tree(pen: _Pen) -> None:
    pen.polygon([(0, -1), (0.55, -0.25), (-0.55, -0.25)])
    pen.polygon([(0, -0.6), (0.8, 0.5), (-0.8, 0.5)])
    pen.box(-0.17, 0.5, 0.17, 1.0)


def _fish(pen: _Pen) -> None:
    pen.ellipse(-0.2, 0, 0.75, 0.48)
    pen.polygon([(0.35, 0), (1, -0.55), (1, 0.55)])
    pen.ellipse(-0.55, -0.1, 0.1, 0.1, ink=0)


def _key(pen: _Pen) -> None:
    pen.ellipse(-0.55, 0, 0.45, 0.45)
    pen.ellipse(-0.55, 0, 0.2, 0.2, ink=0)
    pen.box(-0.15, -0.13, 1.0, 0.13)
    pen.box(0.45, 0, 0.6, 0.45)
    pen.box(0.82, 0, 1.0, 0.5)


def _mushroom(pen: _Pen) -> None:
    pen.ellipse(0, -0.05, 0.95, 0.85)
    pen.box(-1, 0.05, 1, 1, ink=0)
    pen.box(-0.3, 0, 0.3, 0.9)


def _umbrella(pen: _Pen) -> None:
    pen.ellipse(0, 0, 1.0, 0.95)
    pen.box(-1.1, 0, 1.1, 1.1, ink=0)
    for x in (-0.66, 0.0, 0.66):
        pen.ellipse(x, 0.02, 0.26, 0.16, ink=0)
    pen.box(-0.08, -0.3, 0.08, 0.8)
    pen.box(-0.42, 0.75, 0.08, 0.95)


def _crown(pen: _Pen) -> None:
    pen.polygon(
        [(-0.95, -0.65), (-0.45, 0), (0, -0.85), (0.45, 0), (0.95, -0.65), (0.8, 0.7), (-0.8, 0.7)]
    )


def _boat(pen: _Pen) -> None:
    pen.polygon([(-1, 0.35), (1, 0.35), (0.6, 0.9), (-0.6, 0.9)])
    pen.polygon([(0.05, -1), (0.8, 0.2), (0.05, 0.2)])
    pen.polygon([(-0.1, -0.7), (-0.1, 0.2), (-0.6, 0.2)])


def _bottle(pen: _Pen) -> None:
    pen.box(-0.18, -1, 0.18, -0.3)
    pen.polygon([(-0.18, -0.45), (0.18, -0.45), (0.48, 0.0), (-0.48, 0.0)])
    pen.box(-0.48, 0.0, 0.48, 1.0)


def _hammer(pen: _Pen) -> None:
    pen.box(-0.8, -0.9, 0.8, -0.35)
    pen.box(-0.15, -0.4, 0.15, 1.0)


_BASIC: dict[str, Callable[[_Pen], None]] = {
    "circle": _circle,
    "oval": _oval,
    "square": _square,
    "diamond": _diamond,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": _ring,
    "crescent": _crescent,
    "arrow": _arrow,
    "drop": _drop,
    "bolt": _bolt,
    "flower": _flower,
    "gear": _gear,
    "hourglass": _hourglass,
}
_RARE: dict[str, Callable[[_Pen], None]] = {
    "house": _house,
    "tree": _tree,
    "fish": _fish,
    "key": _key,
    "mushroom": _mushroom,
    "umbrella": _umbrella,
    "crown": _crown,
    "boat": _boat,
    "bottle": _bottle,
    "hammer": _hammer,
}

BASIC_SHAPES = tuple(_BASIC)
RARE_SHAPES = tuple(_RARE)
SHAPES = BASIC_SHAPES + RARE_SHAPES


def _distances(ink: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return signed distances of a square raster, negative inside, in half-widths."""
    inside = ink > 127
    size = ink.shape[0]
    signed = distance_transform_edt(~inside) - distance_transform_edt(inside)
    factor = size // ATLAS_SIZE
    tiles = signed.reshape(ATLAS_SIZE, factor, ATLAS_SIZE, factor).mean(axis=(1, 3))
    return np.asarray(tiles / (size / 2), dtype=np.float32)


@cache
def shape_atlas() -> Tensor:
    """Return signed distances of `SHAPES`, ``(26, ATLAS_SIZE, ATLAS_SIZE)``.

    Units are half-widths of a tile: the tile spans [-1, 1] and a shape about 0.8 of it.
    """
    tiles = []
    for draw in (_BASIC | _RARE).values():
        pen = _Pen()
        draw(pen)
        tiles.append(_distances(np.asarray(pen.image)))
    return torch.from_numpy(np.stack(tiles))


@cache
def _faces() -> tuple[Path, ...]:
    """Return the font files of matplotlib that hold ordinary letters and digits."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    ordinary = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmb10", "cmr10", "cmss10", "cmtt10")
    italic = ("cmmi10", "cmti10")
    files = sorted(folder.glob("*.ttf"))
    return tuple(
        file
        for file in files
        if file.stem.startswith(ordinary + italic) and not file.stem.endswith("Display")
    )


def _glyph(character: str, face: Path) -> NDArray[np.float32]:
    size = 2 * ATLAS_SIZE
    font = ImageFont.truetype(str(face), size)
    left, top, right, bottom = font.getbbox(character)
    sheet = Image.new("L", (size, size), 0)
    # Every glyph fills the tile's extent: a reader must not rely on its height alone.
    scale = _EXTENT * size / max(right - left, bottom - top, 1)
    font = ImageFont.truetype(str(face), max(8, int(size * scale)))
    left, top, right, bottom = font.getbbox(character)
    corner = ((size - right - left) / 2, (size - bottom - top) / 2)
    ImageDraw.Draw(sheet).text(corner, character, fill=255, font=font)
    return _distances(np.asarray(sheet))


@cache
def glyph_atlas(characters: tuple[str, ...]) -> Tensor:
    """Return signed distances of ``characters`` in every face.

    Returns
    -------
    Tensor
        ``(faces, characters, ATLAS_SIZE, ATLAS_SIZE)``, units as in `shape_atlas`.
    """
    tiles = [[_glyph(character, face) for character in characters] for face in _faces()]
    return torch.from_numpy(np.stack([np.stack(row) for row in tiles]))
