"""A digest of the data that a few-shot run sees of a task."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, runtime_checkable

from dpl_nas.io.arguments import checked
from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["task_digest", "test_digest"]

_MOST_THREADS = 8


@runtime_checkable
class _Signed(Protocol):
    """Images that are told apart without being decoded."""

    def signature(self, index: int) -> bytes:
        """Return a signature that changes with any change to the image."""
        ...


@checked()
def task_digest(task: Task, rows: Sequence[int]) -> str:
    """Return 16 hex digits of the SHA-256 of all training data.

    These are the classes, the captions, the augmentation, and labels, places and content of the
    training images ``rows``. The location of the task's folder does not matter.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    captions = (task.class_names, task.template, task.templates, task.augmentation)
    return _digest(json.dumps(captions), task.train, rows)


@checked()
def test_digest(task: Task) -> str:
    """16 hex digits of the SHA-256 of all test images and their labels.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    return _digest("", task.test, range(len(task.test.labels)))


def _digest(text: str, images: ImageSet, rows: Sequence[int]) -> str:
    digest = hashlib.sha256(text.encode())
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        for row, signature in zip(rows, pool.map(partial(_signature, images), rows), strict=True):
            digest.update(f"\n{images.labels[row]} {len(signature)} ".encode())
            digest.update(signature)
    return digest.hexdigest()[:16]


def _signature(images: ImageSet, row: int) -> bytes:
    if isinstance(images, _Signed):
        return images.signature(row)
    image = images.image(row)
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).digest()
