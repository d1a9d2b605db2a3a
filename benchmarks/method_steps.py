"""A train step of each method that learns in the towers, beside its plain published form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import interleaved
from benchmarks.plain_towers import PLAIN, Captions, Definition
from benchmarks.workload import TEMPLATE, Part, backbone_of, class_names
from dpl_nas.backbone import Backbone
from dpl_nas.methods import make_method
from dpl_nas.tasks import Task

__all__ = ["MethodRow", "MethodStep", "measure_methods"]

#: Images of a step, as most of the papers have it; a step of CoCoOp has one.
IMAGES = 4
#: Plain DPL has one caption a class; its mean embeddings cost the same.
_SETTINGS: dict[str, dict[str, Any]] = {
    "clip-lora": {"dropout": 0.0},
    "dpl": {"template": "task"},
    "dpl+maple": {"template": "task"},
}


@dataclass(frozen=True)
class MethodRow:
    """Seconds of a step, forward and backward, without the optimizer."""

    model: str
    method: str
    classes: int
    images: int
    published_s: float
    ours_s: float
    ratio: float
    repeats: int


class _NoImages:
    """A task of captions alone; the images of a step are random numbers."""

    labels: Sequence[int] = ()

    def image(self, index: int) -> Image:
        """Raise an IndexError: there is none."""
        raise IndexError(index)


class MethodStep:
    """A step of both sides, with the same numbers learned, images and labels.

    Parameters
    ----------
    name
        One of :data:`benchmarks.plain_towers.PLAIN`.
    """

    def __init__(self, name: str, backbone: Backbone, classes: int, images: int = IMAGES) -> None:
        self._definition: Definition = PLAIN[name]
        self._clip = backbone.model
        names = class_names(classes)
        self._captions = Captions(names, TEMPLATE, backbone.tokenize)
        task = Task("made up", tuple(names), TEMPLATE, _NoImages(), _NoImages())
        method: Any = make_method(name, **_SETTINGS.get(name, {}))
        self._model = method.model(backbone, 1)
        self._text = method.captions(backbone, task)
        self._leaves = {
            key: value.detach().clone().requires_grad_()
            for key, value in self._model.named_parameters()
        }
        generator = torch.Generator().manual_seed(1)
        size = backbone.image_size
        self._images = torch.randn(images, 3, size, size, generator=generator)
        self._labels = torch.randint(classes, (images,), generator=generator)

    @property
    def learned(self) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """Gradients of both sides by name."""
        return {
            name: (value.grad, self._leaves[name].grad)
            for name, value in self._model.named_parameters()
        }

    def ours(self) -> Tensor:
        """The loss by this package; gradients are left in the model."""
        self._model.zero_grad()
        loss = functional.cross_entropy(self._model(self._images, self._text), self._labels)
        loss.backward()
        return loss.detach()

    def published(self) -> Tensor:
        """The loss by the plain form; gradients are left in its copies."""
        for leaf in self._leaves.values():
            leaf.grad = None
        found = self._definition(self._clip, self._captions, self._images, self._leaves)
        loss = functional.cross_entropy(found, self._labels)
        loss.backward()
        return loss.detach()


def measure_methods(
    names: Sequence[str],
    model: str,
    classes: int,
    repeats: int,
    told: Callable[[MethodRow], object],
) -> list[MethodRow]:
    """Time both sides of each method in turns; medians."""
    backbone = backbone_of(model)
    rows = []
    for name in names:
        images = 1 if name == "cocoop" else IMAGES
        step = MethodStep(name, backbone, classes, images)
        published, ours = interleaved([[Part(step.published)], [Part(step.ours)]], repeats)
        row = MethodRow(model, name, classes, images, published, ours, published / ours, repeats)
        rows.append(row)
        told(row)
    return rows
