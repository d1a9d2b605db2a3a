"""Loading of ``pictures/<name>``: drawings are split first, and captured then."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpl_nas.gallery.pack import load_gallery
from dpl_nas.seeds import derive_seed
from dpl_nas.tasks.gallery.captured import capture_all, choose_evenly
from dpl_nas.tasks.gallery.photographs import find_photographs, read_photograph
from dpl_nas.tasks.gallery.recipes import PHOTOS, RECIPES, Variant
from dpl_nas.tasks.gallery.splits import Pools, split_pictures, split_things
from dpl_nas.tasks.mini import MemoryImages
from dpl_nas.tasks.task import Task

__all__ = ["load_gallery_task", "name_gallery_tasks"]

#: Test images of a task, and training images of a class, about.
_TEST_IMAGES = 1500
_TRAIN_IMAGES, _LEAST, _MOST = 2000, 16, 40
_UNSEEN = {
    "style": "style unseen",
    "classes": "classes unseen in any style",
    "source": "source unseen",
}
_ALL = {**RECIPES, "photos": PHOTOS}


@dataclass(frozen=True)
class _Pictures:
    """The pictures of a task: the shots', the test set's, and how to get their thumbnails."""

    train: Pools
    test: Pools
    read: Callable[[Sequence[int]], NDArray[np.uint8]]


def name_gallery_tasks() -> dict[str, str]:
    """Return the names of all tasks, without ``pictures/``, and a line on each."""
    named: dict[str, str] = {}
    for name, recipe in _ALL.items():
        named[name] = f"{recipe.about}; {_UNSEEN[recipe.level]}"
        for suffix, variant in recipe.variants.items():
            named[f"{name}-{suffix}"] = f"{name}, tested on {variant.about}"
    return named


def load_gallery_task(name: str) -> Task:
    """Return the task ``pictures/<name>`` of a known name, with the same images at every call.

    Raises
    ------
    TaskError
        If its photographs are not installed.
    CheckpointError
        If the packed pictures are damaged.
    """
    base, _, suffix = name.partition("-")
    recipe = _ALL[base]
    variant = recipe.variants.get(suffix)
    pictures = _find_photographs() if recipe is PHOTOS else _find_pictures(base, variant)
    classes = sorted(pictures.train)
    shots = min(max(_TRAIN_IMAGES // len(classes), _LEAST), _MOST)
    tests = -(-_TEST_IMAGES // len(pictures.test))
    return Task(
        name=f"pictures/{name}",
        class_names=tuple(classes),
        template=recipe.template,
        # Of a variant, the shots are those of the whole task.
        train=_images(pictures, pictures.train, classes, shots, f"{base}/train"),
        test=_images(pictures, pictures.test, classes, tests, f"{name}/test"),
    )


def _find_pictures(name: str, variant: Variant | None) -> _Pictures:
    gallery = load_gallery()
    train, test = split_pictures(gallery, RECIPES[name], variant)
    return _Pictures(train, test, gallery.thumbnails)


def _find_photographs() -> _Pictures:
    files = find_photographs()
    paths = [path for things in files.values() for same in things.values() for path in same]
    places = {path: place for place, path in enumerate(paths)}
    train, test = split_things(
        {
            name: {thing: [places[path] for path in same] for thing, same in things.items()}
            for name, things in files.items()
        }
    )

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        read = {index: read_photograph(paths[index]) for index in set(indices)}
        return np.stack([read[index] for index in indices])

    return _Pictures(train, test, read)


def _images(
    pictures: _Pictures, pools: Pools, classes: Sequence[str], count: int, name: str
) -> MemoryImages:
    """Capture ``count`` images of each class that has pictures."""
    chosen: list[int] = []
    labels: list[int] = []
    for label, each in enumerate(classes):
        if each in pools:
            generator = random.Random(derive_seed(0, "pictures", name, each))
            chosen += choose_evenly(pools[each], count, generator)
            labels += [label] * count
    return capture_all(pictures.read(chosen), labels, name)
