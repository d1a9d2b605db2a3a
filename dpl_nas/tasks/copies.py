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

    Files of the same size are opened; those whose ends agree are read. Nothing is told of the
    benchmark's datasets, whose images are as published, nor of images that are not files.

    Raises
    ------
    TaskError
        If a file cannot be read.
    """
    if task.data:
        # There may be millions of images, and nobody could remove one.
        return
    # The folder of a list.
    root = task.folder if Path(task.folder).is_dir() else Path(task.folder).parent
    groups = [[*_pictures("train", task.train), *_pictures("test", task.test)]]
    for key in (file_size, _end, _digest):
        groups = [same for group in groups for same in _alike(group, key)]
    for what, found in (
        ("in train/ and in test/, so test images are trained on", _in_both(groups)),
        ("in two classes, so one label is wrong", _in_two_classes(groups)),
        ("in a class twice, and each copy counts", _again(groups)),
    ):
        if found:
            few = tell_names(os.path.relpath(each.path, root) for same in found for each in same)
            count = "1 picture" if len(found) == 1 else f"{len(found)} pictures"
            warnings.warn(
                f"{make_printable(task.name)}: the same picture is {what}: {count}, such as {few}",
                DplWarning,
                stacklevel=3,
            )


def _pictures(part: str, images: ImageSet) -> list[_Picture]:
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


def _in_both(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
    return [group for group in groups if len({each.part for each in group}) > 1]


def _in_two_classes(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
    return [part for part in _parts(groups) if len({each.label for each in part}) > 1]


def _again(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
    return [part for part in _parts(groups) if len({each.label for each in part}) == 1]


def _parts(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
    """Return the groups within a part."""
    parts = (
        [each for each in group if each.part == part]
        for group in groups
        for part in ("train", "test")
    )
    return [part for part in parts if len(part) > 1]
