"""Few-shot images as batches, in an order that a seed and an epoch decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dpl_nas.seeds import derive_seed

if TYPE_CHECKING:
    from dpl_nas.backbone import Backbone
    from dpl_nas.tasks.task import Augmentation, ImageSet

__all__ = ["FewShotImages", "endless_rows", "epoch_rows"]

#: CoOp's random resized crop, which the field trains with.
_CROP_SCALE = (0.08, 1.0)


class FewShotImages:
    """A few labelled images, ready for the backbone.

    Without augmentation they are decoded, resized and normalised once. With it they are
    decoded for every batch: a random resized crop (and a flip) replaces the test transform.

    Parameters
    ----------
    images
        Where they are; ``indices`` picks the few.
    """

    def __init__(
        self,
        images: ImageSet,
        indices: Sequence[int],
        backbone: Backbone,
        augmentation: Augmentation,
    ) -> None:
        self._images = images
        self._indices = tuple(indices)
        self._augmentation = augmentation
        self._backbone = backbone
        self.labels = torch.tensor([images.labels[i] for i in self._indices], dtype=torch.long)
        self._pixels: Tensor | None = None
        if augmentation == "none":
            self._pixels = torch.stack([backbone.preprocess(images.image(i)) for i in indices])

    def __len__(self) -> int:
        return len(self._indices)

    def batch(self, rows: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
        """Images (batch, 3, S, S) and labels (batch,) on the backbone's device.

        ``seed`` decides the augmentation of this batch.
        """
        device = self._backbone.device
        labels = self.labels[list(rows)].to(device)
        if self._pixels is not None:
            return self._pixels[list(rows)].to(device), labels
        return self._augmented(rows, seed).to(device), labels

    def _augmented(self, rows: Sequence[int], seed: int) -> Tensor:
        from torchvision.transforms import InterpolationMode, v2

        size = self._backbone.image_size
        steps: list[torch.nn.Module] = [
            v2.ToImage(),
            v2.RandomResizedCrop(
                size, scale=_CROP_SCALE, interpolation=InterpolationMode.BICUBIC, antialias=True
            ),
        ]
        if self._augmentation == "crop_flip":
            steps.append(v2.RandomHorizontalFlip())
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(self._backbone.mean), list(self._backbone.std)),
        ]
        transform = v2.Compose(steps)
        # torchvision draws from the global generator; leave it as it was found.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torch.stack([transform(self._images.image(self._indices[row])) for row in rows])


def epoch_rows(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every row once, shuffled, in batches; the last may be smaller."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    order = torch.randperm(count, generator=generator).tolist()
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


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
