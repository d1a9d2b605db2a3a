"""What a classifier said of its own pictures while each was held out, kept for its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from dpl_nas.classifier.fitting import Fit
from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.sealed_tensors import load_sealed, save_sealed
from dpl_nas.tasks.views import places_of

__all__ = ["HELD", "Held"]

HELD = "evidence.safetensors"
_REMEDY = "fit again"
#: Side of a thumbnail, and the most of each kind.
_SIDE, _MOST = 72, 12


@dataclass(frozen=True)
class Held:
    """Logits of each picture by what was made without it.

    Attributes
    ----------
    logits, labels
        ``(pictures, classes)`` and ``(pictures,)``.
    temperature
        Temperature of the classifier.
    places
        Path of each picture as its folder or list has it, or its number.
    thumbnails
        Small RGB pictures, by their row, of those that a report shows.
    """

    logits: Tensor
    labels: Tensor
    temperature: float
    places: tuple[str, ...]
    thumbnails: Mapping[int, Image.Image]

    __repr__ = short_repr

    @cached_property
    def probabilities(self) -> Tensor:
        """Calibrated probabilities (pictures, classes)."""
        return (self.logits.double() / self.temperature).softmax(dim=1)

    @cached_property
    def mistakes(self) -> list[int]:
        """Rows that were classified wrongly, the surest first."""
        confidence, found = self.probabilities.max(dim=1)
        wrong = (found != self.labels).nonzero().flatten().tolist()
        return sorted(wrong, key=lambda row: -float(confidence[row]))

    @cached_property
    def doubtful(self) -> list[int]:
        """Rows of which the own label is least likely: it may be wrong (Northcutt et al. 2021)."""
        own = self.probabilities.gather(1, self.labels[:, None])[:, 0]
        even = 1 / self.logits.shape[1]
        rows = [row for row in range(len(own)) if float(own[row]) < even / 2]
        return sorted(rows, key=lambda row: float(own[row]))

    @classmethod
    def of(cls, fit: Fit) -> Held:
        """Return what a fit knows of its pictures, with thumbnails of what a report shows."""
        pool = fit.problem.task.pool
        places = places_of(pool, fit.rows)
        names = tuple(
            f"picture {row}" if place is None else place
            for row, place in zip(fit.rows, places, strict=True)
        )
        evidence = fit.judged
        held = cls(evidence.logits, evidence.labels, evidence.temperature, names, {})
        shown = dict.fromkeys((*held.mistakes[:_MOST], *held.doubtful[:_MOST]))
        small = {row: _thumbnail(pool.image(fit.rows[row])) for row in shown}
        return cls(held.logits, held.labels, held.temperature, names, small)

    @checked(OutputError)
    def save(self, folder: AnyPath) -> None:
        """Write it into the folder of a classifier, atomically."""
        rows = list(self.thumbnails)
        pixels = [np.asarray(self.thumbnails[row]) for row in rows]
        shape = (0, _SIDE, _SIDE, 3)
        stacked = np.stack(pixels) if pixels else np.zeros(shape, dtype=np.uint8)
        header = {"places": self.places, "rows": rows, "temperature": self.temperature}
        tensors = {
            "logits": self.logits,
            "labels": self.labels,
            "thumbnails": torch.from_numpy(np.ascontiguousarray(stacked)),
        }
        save_sealed(Path(folder) / HELD, tensors, header)

    @classmethod
    @checked(CheckpointError)
    def load(cls, folder: AnyPath) -> Held:
        """Read it.

        Raises
        ------
        CheckpointError
            If it is missing or damaged.
        """
        file = Path(folder) / HELD
        if not file.exists():
            raise CheckpointError(
                f"there is no {HELD} in {folder}, so nothing is known of its pictures: give the "
                "folder that dpl-nas fit wrote"
            )
        tensors, header = load_sealed(file, ("logits", "labels", "thumbnails"), _REMEDY)
        logits, labels, small = tensors["logits"], tensors["labels"], tensors["thumbnails"]
        try:
            places, rows = tuple(map(str, header["places"])), [int(row) for row in header["rows"]]
            temperature = float(header["temperature"])
            _check_tensors(logits, labels, small)
            images = [Image.fromarray(each.numpy()) for each in small]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{file} is damaged: {_REMEDY}") from error
        same = len(places) == len(labels) == len(logits) and len(rows) == len(images)
        if not same or not 0 < temperature < math.inf or not set(rows) <= {*range(len(labels))}:
            raise CheckpointError(f"{file} is damaged: {_REMEDY}")
        return cls(logits, labels, temperature, places, dict(zip(rows, images, strict=True)))


def _check_tensors(logits: Tensor, labels: Tensor, small: Tensor) -> None:
    """Raise a ValueError for shapes and values that no fit has written."""
    known = logits.dtype == torch.float32 and labels.dtype == torch.int64
    if not known or logits.dim() != 2 or labels.dim() != 1 or not logits.numel():
        raise ValueError("logits or labels have another form")
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("a logit is not finite")
    if int(labels.min()) < 0 or int(labels.max()) >= logits.shape[1]:
        raise ValueError("a label is none of the classes")
    if small.dtype != torch.uint8 or small.dim() != 4 or small.shape[1:] != (_SIDE, _SIDE, 3):
        raise ValueError("a thumbnail has another form")


def _thumbnail(image: Image.Image) -> Image.Image:
    """The whole picture on a grey square."""
    small = ImageOps.contain(image, (_SIDE, _SIDE))
    square = Image.new("RGB", (_SIDE, _SIDE), "#808080")
    square.paste(small, ((_SIDE - small.width) // 2, (_SIDE - small.height) // 2))
    return square
