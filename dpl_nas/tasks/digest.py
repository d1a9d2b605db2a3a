"""What a few-shot run has seen of a task, as a few characters that tell it from any other."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, runtime_checkable

from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["task_digest"]

_MOST_THREADS = 8


@runtime_checkable
class _Signed(Protocol):
    """Images that are told apart without being decoded."""

    def signature(self, index: int) -> bytes:
        """What any change to the image would change."""
        ...


def task_digest(task: Task, rows: Sequence[int]) -> str:
    """16 hex digits of the SHA-256 of all that is learned from.

    These are the classes, the captions, the augmentation, and labels, places and content of the
    training images ``rows``. Where the task's folder lies is of no account.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    images = task.train
    captions = (task.class_names, task.template, task.templates, task.augmentation)
    digest = hashlib.sha256(json.dumps(captions).encode())
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
