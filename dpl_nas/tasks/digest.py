"""A digest of the data that a few-shot run sees of a task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, runtime_checkable

from dpl_nas.io.arguments import checked
from dpl_nas.process.threads import usable_cores
from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["Signatures", "sign_image", "task_digest", "test_digest"]

_MOST_THREADS = 8


@runtime_checkable
class _Signed(Protocol):
    """Images that are told apart without being decoded."""

    def signature(self, index: int) -> bytes:
        """Return a signature that changes with any change to the image."""
        ...


class Signatures:
    """Signatures of the images of a set, each of which is read once for all digests."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._known: dict[int, bytes] = {}

    def digest(self, text: str, rows: Sequence[int]) -> str:
        """Return 16 hex digits of the SHA-256 of ``text``, and the images ``rows`` and labels.

        Raises
        ------
        TaskError
            If an image cannot be read.
        """
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        with ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS)) as pool:
            made = pool.map(partial(sign_image, self._images), new)
            self._known.update(zip(new, made, strict=True))
        digest = hashlib.sha256(text.encode())
        for row in rows:
            signature = self._known[row]
            digest.update(f"\n{self._images.labels[row]} {len(signature)} ".encode())
            digest.update(signature)
        return digest.hexdigest()[:16]


@checked()
def task_digest(task: Task, rows: Sequence[int], signatures: Signatures | None = None) -> str:
    """Return 16 hex digits of the SHA-256 of all training data.

    These are the classes, the captions, the augmentation, and labels, places and content of the
    images ``rows`` of the pool. The location of the task's folder does not matter.

    Parameters
    ----------
    signatures
        Signatures of the images of the pool, where some may be known already.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    captions = (task.class_names, task.template, task.templates, task.augmentation)
    return (signatures or Signatures(task.pool)).digest(json.dumps(captions), rows)


@checked()
def test_digest(task: Task) -> str:
    """16 hex digits of the SHA-256 of all test images and their labels.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    return Signatures(task.test).digest("", range(len(task.test.labels)))


def sign_image(images: ImageSet, row: int) -> bytes:
    """Return a signature of an image that changes with any change to it."""
    if isinstance(images, _Signed):
        return images.signature(row)
    image = images.image(row)
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).digest()
