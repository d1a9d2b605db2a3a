"""Copies: equal thumbnails, near copies, and other versions of a drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dpl_nas.gallery.picture import THUMBNAIL

__all__ = ["find_distinct", "find_unlike", "group_versions"]

#: Correlations above which two pictures are near copies, or versions of one drawing.
_LIKE, _VERSION = 0.95, 0.85
_COARSE, _OUTLINE = 12, 24
_MOST_EDGE = 0.5
_BETWEEN = re.compile("[_-]+")
_LOOKS = frozenset(
    {
        "black",
        "blue",
        "brown",
        "bw",
        "color",
        "colour",
        "contour",
        "cyan",
        "dark",
        "gray",
        "green",
        "grey",
        "light",
        "orange",
        "outline",
        "pink",
        "purple",
        "red",
        "shaded",
        "silver",
        "violet",
        "white",
        "yellow",
    }
)


def find_distinct(thumbnails: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Return the places of thumbnails, without those that equal an earlier one."""
    seen: dict[bytes, int] = {}
    for place, pixels in enumerate(thumbnails):
        seen.setdefault(pixels.tobytes(), place)
    return list(seen.values())


def find_unlike(thumbnails: NDArray[np.uint8]) -> list[int]:
    """Return the places of thumbnails ``(n, s, s, 4)``, without near copies of those kept."""
    white = _on_white(thumbnails)
    like = _correlations(_shrunk(white, _COARSE))
    kept: list[int] = []
    for place, row in enumerate(like):
        if not kept or row[kept].max() <= _LIKE:
            kept.append(place)
    return kept


def group_versions(thumbnails: NDArray[np.uint8], codes: Sequence[str]) -> list[str]:
    """Return a drawing for each clip art: the code of the first version of it.

    Versions have the same outlines, or the same name but for a colour.
    """
    grey = _on_white(thumbnails).mean(axis=-1)
    down, right = np.diff(grey, axis=1)[:, :, :-1], np.diff(grey, axis=2)[:, :-1]
    edges = np.hypot(down, right)
    edges /= edges.max(axis=(1, 2), keepdims=True) + 1e-9
    edges = np.pad(edges.clip(max=_MOST_EDGE), ((0, 0), (0, 1), (0, 1)))
    like = _correlations(_shrunk(edges[..., None], _OUTLINE)) > _VERSION
    folders = np.array([code.split("/")[0] for code in codes])
    pairs = [
        (int(first), int(second))
        for first, second in np.argwhere(np.triu(like, 1))
        if folders[first] == folders[second]
    ]
    names: dict[str, list[int]] = {}
    for place, code in enumerate(codes):
        names.setdefault(_without_looks(code), []).append(place)
    pairs += [pair for places in names.values() for pair in pairwise(places)]
    return [codes[place] for place in _roots(len(codes), pairs)]


def _on_white(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = thumbnails[..., 3:] / 255.0
    return np.asarray(thumbnails[..., :3] * alpha + 255 * (1 - alpha))


def _shrunk(images: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    count, step = len(images), THUMBNAIL // size
    return np.asarray(images.reshape(count, size, step, size, step, -1).mean(axis=(2, 4)))


def _correlations(images: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-9
    return np.asarray(flat @ flat.T)


def _without_looks(code: str) -> str:
    folder, _, file = code.rpartition("/")
    words = [word for word in _BETWEEN.split(file.lower()) if word not in _LOOKS]
    return f"{folder}/{'_'.join(words)}"


def _roots(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return the first member of the connected group of each of ``count`` things."""
    above = list(range(count))

    def root(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    for first, second in pairs:
        one, other = sorted((root(first), root(second)))
        above[other] = one
    return [root(place) for place in range(count)]
