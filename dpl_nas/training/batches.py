"""Few-shot images as batches, in an order that a seed and an epoch decide."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dpl_nas.seeds import derive_seed
from dpl_nas.training.augmentation import augment, bound
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.prefetch import decode_ahead, prefetched

if TYPE_CHECKING:
    from dpl_nas.backbone import Backbone
    from dpl_nas.config import Augmentation
    from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["FewShotImages", "balanced_rows", "chosen_augmentation", "endless_rows", "epoch_rows"]

#: Images that are cropped at random are kept with a shorter side of at most this many times
#: the backbone's: a crop of at least a quarter of the image (4 of 5 are) still has the pixels
#: that the backbone takes, the smallest is enlarged 1.8 times.
_DETAIL = 2
#: Bytes of decoded pixels that one few-shot set keeps at most: 21000 images at 224 pixels
#: without augmentation, 4000 photographs of 448 x 597 with it.
_KEPT_BYTES = 3 * 2**30


class FewShotImages:
    """A few labelled images, ready for the backbone.

    Images are decoded and resized once and kept as uint8, in their order for as long as they
    fit into ``kept_bytes``; the others are decoded for each batch that has them. What a batch
    holds does not depend on it. Without augmentation an image's pixels are those of the
    backbone's test transform, bit for bit; with it, they are a random resized crop (and a
    flip) of the image, whose shorter side is at first brought to at most twice the backbone's.

    Parameters
    ----------
    images
        Image set from which ``indices`` picks the few. Several threads read from it.
    kept_bytes
        Largest number of bytes of decoded pixels.
    """

    def __init__(
        self,
        images: ImageSet,
        indices: Sequence[int],
        backbone: Backbone,
        augmentation: Augmentation,
        *,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self._images = images
        self._indices = tuple(indices)
        self._augmentation = augmentation
        self._backbone = backbone
        self.labels = torch.tensor([images.labels[i] for i in self._indices], dtype=torch.long)
        self._normalisation: dict[torch.device, Tensor] = {}
        self._kept = self._decode_all(kept_bytes)

    def __len__(self) -> int:
        return len(self._indices)

    def parts(self, size: int) -> list[range]:
        """Return all rows in their order, in parts of at most ``size``."""
        count = len(self)
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def batch(self, rows: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
        """Images (batch, 3, S, S), float32, and labels (batch,) on the backbone's device.

        ``seed`` decides the augmentation of this batch, the same on every device.
        """
        return self._on_device(*self._prepared(rows, seed))

    def batches(
        self, jobs: Iterable[tuple[Sequence[int], int]], ranks: Ranks = ALONE
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """:meth:`batch` of each ``(rows, seed)``, the next two prepared by a thread meanwhile.

        With several processes, each batch is only this process's part. There is no thread where
        nothing but copying is left to do: without augmentation, with all images in memory. Close
        it, or use it up, to end the thread.
        """
        prepare = (
            partial(self._prepared, rows, seed, ranks.part(len(rows))) for rows, seed in jobs
        )
        if self._augmentation == "none" and len(self._kept) == len(self):
            for job in prepare:
                yield self._on_device(*job())
            return
        with closing(prefetched(prepare)) as prepared:
            for pixels, labels in prepared:
                # Not in the thread, which would need threads of its own for it on a CPU, and
                # would reach into the stream of the step on a GPU.
                yield self._on_device(pixels, labels)

    def _prepared(
        self, rows: Sequence[int], seed: int, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Pixels, uint8 or normalised, and labels of a part of a batch in the host's memory."""
        mine = rows[part]
        images = [self._image(row) for row in mine]
        if self._augmentation == "none":
            if any(image.is_floating_point() for image in images):
                images = [self._normalised(image) for image in images]
            pixels = torch.stack(images)
        else:
            pixels = augment(
                images,
                self._backbone.image_size,
                torch.Generator().manual_seed(seed),
                flip=self._augmentation == "crop_flip",
                part=part,
                count=len(rows),
            )
        labels = self.labels[list(mine)]
        if self._backbone.device.type == "cuda":
            return pixels.pin_memory(), labels.pin_memory()
        return pixels, labels

    def _on_device(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        device = self._backbone.device
        images = self._normalised(pixels.to(device, non_blocking=True))
        return images, labels.to(device, non_blocking=True)

    def _normalised(self, pixels: Tensor) -> Tensor:
        """Float32 of pixels (..., 3, S, S): uint8 are normalised, others are so already.

        Tokens of texts stay as they are.
        """
        if pixels.dtype != torch.uint8:
            return pixels
        white, mean, std = self._constants(pixels.device)
        return pixels.float().div_(white).sub_(mean).div_(std)

    def _constants(self, device: torch.device) -> Tensor:
        """Return white, the mean and the standard deviation, each (3, 1, 1)."""
        if device not in self._normalisation:
            # Held on the device, as a copy would wait for it. White is a tensor, too, as CUDA
            # multiplies by the rounded reciprocal of a plain number.
            values = torch.tensor([(255.0,) * 3, self._backbone.mean, self._backbone.std])
            self._normalisation[device] = values[..., None, None].to(device)
        return self._normalisation[device]

    def _image(self, row: int) -> Tensor:
        return self._kept[row] if row < len(self._kept) else self._decoded(row)

    def _decoded(self, row: int) -> Tensor:
        """(3, S, S) after the test transform; or the whole image (height, width, 3), uint8."""
        image = self._images.image(self._indices[row])
        if self._backbone.classes_by == "words":
            # Tokens of a text.
            return self._backbone.preprocess(image)
        if self._augmentation != "none":
            pixels = torch.from_numpy(np.array(image))
            return bound(pixels, _DETAIL * self._backbone.image_size)
        return self._as_uint8(self._backbone.preprocess(image))

    def _as_uint8(self, image: Tensor) -> Tensor:
        """Return the uint8 pixels that normalise to ``image``, or ``image`` if there are none."""
        white, mean, std = self._constants(image.device)
        pixels = ((image * std + mean) * white).round().clamp(0, 255).to(torch.uint8)
        return pixels if torch.equal(self._normalised(pixels), image) else image

    def _decode_all(self, most_bytes: int) -> list[Tensor]:
        jobs = (partial(self._decoded, row) for row in range(len(self)))
        kept: list[Tensor] = []
        with closing(decode_ahead(jobs)) as images:
            for image in images:
                most_bytes -= image.nbytes
                if most_bytes < 0:
                    break
                kept.append(image)
        return kept


def chosen_augmentation(task: Task, setting: Augmentation | Literal["task"]) -> Augmentation:
    """The augmentation that a setting means: ``task`` stands for the task's own."""
    return task.augmentation if setting == "task" else setting


def epoch_rows(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every row once, shuffled, in batches; the last may be smaller."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    order = torch.randperm(count, generator=generator).tolist()
    return _in_batches(order, batch_size)


def balanced_rows(labels: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """As many rows as :func:`epoch_rows` has, of which each class has as many as the others.

    Classes take turns, in an order that is shuffled for every turn. The rows of a class are used
    once each before any is used again.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "balanced order", epoch))

    def shuffled(rows: Sequence[int]) -> list[int]:
        return [rows[at] for at in torch.randperm(len(rows), generator=generator).tolist()]

    of_class: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        of_class.setdefault(label, []).append(row)
    left: dict[int, list[int]] = {label: [] for label in of_class}
    order: list[int] = []
    while len(order) < len(labels):
        for label in shuffled(sorted(of_class)):
            left[label] = left[label] or shuffled(of_class[label])
            order.append(left[label].pop())
    return _in_batches(order[: len(labels)], batch_size)


def _in_batches(order: list[int], batch_size: int) -> list[list[int]]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def endless_rows(count: int, batch_size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Batches without end: one shuffled pass after another, each row as often as the others."""
    pool: list[int] = []
    passes = 0
    while True:
        while len(pool) < min(batch_size, count):
            generator = torch.Generator().manual_seed(derive_seed(seed, "pass", epoch, passes))
            pool += torch.randperm(count, generator=generator).tolist()
            passes += 1
        size = min(batch_size, count)
        yield pool[:size]
        pool = pool[size:]
