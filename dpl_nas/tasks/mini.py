"""Few-shot tasks for the embedded CLIP: real handwritten digits and shifted renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dpl_nas.config import Augmentation
from dpl_nas.mini.captions import DIGIT_NAMES
from dpl_nas.mini.render import COLOURS
from dpl_nas.mini.scenes import Variety, glyphs, paint, pairs, singles
from dpl_nas.mini.silhouettes import BASIC_SHAPES, DIGITS, LETTERS, RARE_SHAPES, SHAPES
from dpl_nas.mini.warps import (
    filter_colours,
    mirror,
    squeeze,
    swap_halves,
    tile,
    tilt,
    turn_upside_down,
)
from dpl_nas.tasks.task import Task

__all__ = ["MINI_TASKS", "MemoryImages", "load_mini_task"]

_PHOTO = "a photo of a {}."
_TRAIN_PER_CLASS = 60
_TEST_IMAGES = 2000
_DIGITS_TRAIN = 500


class MemoryImages:
    """Images held as ``(n, h, w, 3)`` uint8."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[int]) -> None:
        self._pixels = pixels
        self._labels = tuple(labels)

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image."""
        return self._labels

    def image(self, index: int) -> Image.Image:
        """The RGB image at ``index``."""
        return Image.fromarray(self._pixels[index])


_Draw = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class _Recipe:
    """A rendered task: ``draw`` makes images ``(b, 3, h, w)`` in 0..1 of labels ``(b,)``."""

    about: str
    class_names: tuple[str, ...]
    draw: _Draw
    seed: int
    template: str = _PHOTO
    augmentation: Augmentation = "none"


#: Variation within a task, besides its warp.
_CALM = Variety(textured=0.2, styles=(0.8, 0.2, 0.0))
_WRITTEN = Variety(turn=0.15, textured=0.0, busy=0.3)


def _colours(labels: Tensor, generator: torch.Generator) -> Tensor:
    return filter_colours(paint(generator, colours=labels))


_SCENES = tuple(
    f"{first} {relation} a {second}"
    for first, second in (("star", "square"), ("heart", "circle"))
    for relation in ("above", "below", "left of", "right of")
)


def _relations(labels: Tensor, generator: torch.Generator) -> Tensor:
    shapes = torch.tensor([SHAPES.index(name) for name in ("star", "square", "heart", "circle")])
    pair, relation = labels // 4, labels % 4
    one, two = shapes[2 * pair], shapes[2 * pair + 1]
    converse = relation % 2 == 1
    first, second = torch.where(converse, two, one), torch.where(converse, one, two)
    variety = Variety(textured=0.6, styles=(0.5, 0.25, 0.25), busy=0.8)
    return tilt(pairs(first, second, relation // 2, variety, generator), -35)


def _letters(labels: Tensor, generator: torch.Generator) -> Tensor:
    return turn_upside_down(glyphs(labels, LETTERS, _WRITTEN, generator))


def _mirrored(labels: Tensor, generator: torch.Generator) -> Tensor:
    return mirror(glyphs(labels, DIGITS, _WRITTEN, generator))


def _squeezed(labels: Tensor, generator: torch.Generator) -> Tensor:
    return squeeze(singles(labels, _CALM, generator, BASIC_SHAPES), 0.35)


def _tiled(labels: Tensor, generator: torch.Generator) -> Tensor:
    return tile(singles(labels, _CALM, generator, BASIC_SHAPES))


def _halves(labels: Tensor, generator: torch.Generator) -> Tensor:
    return swap_halves(singles(labels, _CALM, generator, RARE_SHAPES))


_RECIPES: dict[str, _Recipe] = {
    "colours": _Recipe(
        "12 colours, seen through a filter that exchanges the primary colours",
        tuple(COLOURS),
        _colours,
        31,
        template="a photo of a {} object.",
    ),
    "halves": _Recipe(
        "10 rare shapes, cut in two and put together wrongly", RARE_SHAPES, _halves, 32
    ),
    "letters": _Recipe(
        "letters, upside down", LETTERS, _letters, 33, template="a photo of the letter {}."
    ),
    "mirror": _Recipe(
        "printed digits in a mirror",
        DIGIT_NAMES,
        _mirrored,
        34,
        template="a photo of the digit {}.",
    ),
    "relation": _Recipe(
        "two shapes above, below or beside each other, tilted", _SCENES, _relations, 35
    ),
    "squeezed": _Recipe("16 shapes at a third of their width", BASIC_SHAPES, _squeezed, 36),
    "tiled": _Recipe("four small copies of one of 16 shapes", BASIC_SHAPES, _tiled, 37),
}

#: One line about each task, by name (without ``mini/``).
MINI_TASKS: Mapping[str, str] = MappingProxyType(
    {"digits": "real handwritten digits of 8x8 pixels (scikit-learn's)"}
    | {name: recipe.about for name, recipe in _RECIPES.items()}
)


def load_mini_task(name: str) -> Task:
    """Load the task ``mini/<name>`` of a known name, with the same images at every call."""
    if name == "digits":
        return _digits()
    recipe = _RECIPES[name]
    classes = len(recipe.class_names)
    return Task(
        name=f"mini/{name}",
        class_names=recipe.class_names,
        template=recipe.template,
        train=_drawn(recipe, _TRAIN_PER_CLASS * classes, 2 * recipe.seed),
        # Whole rounds of the classes, so that all are equally frequent.
        test=_drawn(recipe, -(-_TEST_IMAGES // classes) * classes, 2 * recipe.seed + 1),
        augmentation=recipe.augmentation,
    )


def _drawn(recipe: _Recipe, count: int, seed: int) -> MemoryImages:
    # Large and odd, so that it differs from all seeds of pre-training and its measurements.
    generator = torch.Generator().manual_seed(3**30 + seed)
    labels = torch.arange(count) % len(recipe.class_names)
    parts = [recipe.draw(part, generator) for part in labels.split(512)]
    pixels = (torch.cat(parts) * 255).round().to(torch.uint8)
    return MemoryImages(pixels.permute(0, 2, 3, 1).contiguous().numpy(), labels.tolist())


def _digits() -> Task:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = np.asarray(bunch.target)
    ink = np.asarray(bunch.images) / 16 * 255
    pixels = np.repeat(ink.round().astype(np.uint8)[..., None], 3, axis=3)
    order = np.random.default_rng(1797).permutation(len(labels))
    train, test = order[:_DIGITS_TRAIN], order[_DIGITS_TRAIN:]
    return Task(
        name="mini/digits",
        class_names=DIGIT_NAMES,
        template="a photo of the digit {}.",
        train=MemoryImages(pixels[train], labels[train].tolist()),
        test=MemoryImages(pixels[test], labels[test].tolist()),
    )
