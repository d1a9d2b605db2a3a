"""Copies of one picture among the images of a task."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from dpl_nas.errors import DplWarning
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.pictures import content, file_size
from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["tell_copies"]

#: The end of a file, in which pictures of the same size differ: heads are often the same.
_end = partial(content, last=1024)

#: What it means that a picture is in two parts.
_SHARED = {
    ("train", "test"): "a training image and a test image, so test images are trained on",
    ("validation", "test"): "a validation image and a test image, so a search may see test images",
    ("train", "validation"): (
        "a training image and a validation image, so a search may validate on what it trains on"
    ),
}


@runtime_checkable
class _Files(Protocol):
    """Images that are files."""

    def path(self, index: int) -> str:
        """Return the path of an image."""
        ...


@dataclass(frozen=True)
class _Picture:
    part: str
    label: int
    path: str


def tell_copies(task: Task) -> None:
    """Warn of pictures that a task has twice: as links, or as copies.

    Files of the same size are opened; those whose ends agree are read. Of a task with some classes
    of another, all classes are compared. Nothing is told of the benchmark's datasets, nor of images
    that are not files.

    Raises
    ------
    TaskError
        If a file cannot be read.
    """
    if task.data:
        # They are tested on as published, and comparing a million files takes minutes.
        return
    if task.whole is not None:
        task = task.whole.task
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    there = {part: images for part, images in parts.items() if images is not None}
    groups = [[each for part, images in there.items() for each in _pictures(part, images)]]
    for key in (file_size, _end, _digest):
        groups = [same for group in groups for same in _alike(group, key)]
    within = [same for group in groups for same in _by_part(group).values() if len(same) > 1]
    for pair, what in _SHARED.items():
        _tell(task, what, _shared(groups, *pair))
    _tell(task, "in two classes, so one label is wrong", [s for s in within if _classes(s) > 1])
    _tell(task, "in a class twice, and each copy counts", [s for s in within if _classes(s) == 1])


def _tell(task: Task, what: str, found: Sequence[list[_Picture]]) -> None:
    if not found:
        return
    # The folder of a list.
    root = task.folder if Path(task.folder).is_dir() else Path(task.folder).parent
    few = tell_names(os.path.relpath(each.path, root) for same in found for each in same)
    count = "1 picture" if len(found) == 1 else f"{len(found)} pictures"
    warnings.warn(
        f"{make_printable(task.name)}: the same picture is {what}: {count}, such as {few}; keep "
        "one of each",
        DplWarning,
        stacklevel=4,
    )


def _pictures(part: str, images: ImageSet) -> list[_Picture]:
    """Return the images of a part that are files."""
    if not isinstance(images, _Files):
        return []
    return [_Picture(part, label, images.path(row)) for row, label in enumerate(images.labels)]


def _alike(pictures: Sequence[_Picture], key: Callable[[str], Hashable]) -> list[list[_Picture]]:
    """Return those that share their key with others, in groups."""
    groups: dict[Hashable, list[_Picture]] = {}
    for picture in pictures:
        groups.setdefault(key(picture.path), []).append(picture)
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: str) -> bytes:
    return hashlib.sha256(content(path)).digest()


def _shared(groups: Sequence[list[_Picture]], *parts: str) -> list[list[_Picture]]:
    """Return the pictures that are in both parts, each with its copies there."""
    split = map(_by_part, groups)
    return [[*each[parts[0]], *each[parts[1]]] for each in split if {*parts} <= {*each}]


def _by_part(group: Sequence[_Picture]) -> dict[str, list[_Picture]]:
    parts: dict[str, list[_Picture]] = {}
    for each in group:
        parts.setdefault(each.part, []).append(each)
    return parts


def _classes(pictures: Sequence[_Picture]) -> int:
    return len({each.label for each in pictures})
