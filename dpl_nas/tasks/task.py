"""The definition of a task: named classes, a pool of training images, a test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dpl_nas.config import Augmentation

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageSet", "Task"]


class ImageSet(Protocol):
    """Labelled images in a fixed order, decoded on demand."""

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image, ``n`` of them."""
        ...

    def image(self, index: int) -> Image:
        """The RGB image at ``index``, at its own size."""
        ...


@dataclass(frozen=True)
class Task:
    """A classification task for few-shot learning.

    Attributes
    ----------
    name
        Name by which the task was requested: ``mini/digits`` or a path.
    class_names
        One name per class, as it is put into the template.
    template
        A caption with one ``{}`` for the class name.
    train, test
        Disjoint image sets; few-shot draws come from ``train`` only.
    templates
        The captions a zero-shot teacher averages over; ``(template,)`` if not given.
    augmentation
        Augmentation that keeps the labels right: a digit must not be mirrored.
    folder
        The absolute path of its files; empty for a task that has none.
    """

    name: str
    class_names: tuple[str, ...]
    template: str
    train: ImageSet
    test: ImageSet
    templates: tuple[str, ...] = field(default=())
    augmentation: Augmentation = "none"
    folder: str = ""

    def __repr__(self) -> str:
        return (
            f"Task({self.name!r}, {len(self.class_names)} classes, {len(self.train.labels)} "
            f"training images, {len(self.test.labels)} test images)"
        )

    def captions(self, template: str | None = None) -> list[str]:
        """The caption of every class under ``template`` (the task's own by default)."""
        return [(template or self.template).replace("{}", name) for name in self.class_names]
