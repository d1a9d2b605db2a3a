"""The definition of a task: named classes, a pool of training images, a test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

from dpl_nas.config import Augmentation, Classes
from dpl_nas.io.reprs import in_a_line

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageSet", "PartOf", "Selections", "Task"]


class ImageSet(Protocol):
    """Labelled images in a fixed order, decoded on demand."""

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image, ``n`` of them."""
        ...

    def image(self, index: int) -> Image:
        """The RGB image at ``index``, at its own size."""
        ...


class Selections(Protocol):
    """Few-shot selections that somebody has published instead of a way to draw them."""

    def read(self, shots: int, seed: int) -> tuple[list[int], list[int]]:
        """Return indices into the training images, and into the validation images.

        Raises
        ------
        TaskError
            If there is no such selection.
        """
        ...


@dataclass(frozen=True)
class PartOf:
    """The task that another one has some classes of.

    Attributes
    ----------
    task
        Task of all classes: few-shot images are drawn there, as published.
    rows
        Index into its pool of each image of the pool of the part.
    """

    task: Task
    rows: tuple[int, ...]


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
        Disjoint image sets; few-shot draws come from ``train``, which is empty if a task is for
        tests only.
    templates
        The captions a zero-shot teacher averages over; ``(template,)`` if not given.
    augmentation
        Augmentation that keeps the labels right: a digit must not be mirrored.
    folder
        The absolute path of its files; empty for a task that has none.
    validation
        A third set, from which ``search.validation=extra`` draws; without one, it draws from the
        images of ``train`` that are left over.
    data
        The absolute path of the folder of all datasets, for a task that is one of them.
    classes
        Classes that it has of its dataset: ``all``, or the ``base`` or ``new`` half.
    whole
        The task of all classes, if this one has only some.
    folders
        Folders in which every picture is an image of the task.
    selections
        Published selections that take the place of the draw.
    same_names
        Whether two classes may have the same name, as ``missile`` of ImageNet.
    own_labels
        Labels of the classes as the user's folders or lists have them; empty where these are the
        names.
    background
        Colour on which transparent pictures are put.
    inputs
        What is classified: images, or texts (:class:`~dpl_nas.tasks.texts.TextSet`).
    """

    name: str
    class_names: tuple[str, ...]
    template: str
    train: ImageSet
    test: ImageSet
    templates: tuple[str, ...] = field(default=())
    augmentation: Augmentation = "none"
    folder: str = ""
    validation: ImageSet | None = None
    data: str = ""
    classes: Classes = "all"
    whole: PartOf | None = None
    folders: tuple[str, ...] = ()
    selections: Selections | None = None
    same_names: bool = False
    own_labels: tuple[str, ...] = ()
    background: str = "white"
    inputs: Literal["images", "texts"] = "images"

    @property
    def class_labels(self) -> tuple[str, ...]:
        """The label of each class, as users know it."""
        return self.own_labels or self.class_names

    @cached_property
    def pool(self) -> ImageSet:
        """All images that may be learned from: ``train``, then ``validation``.

        What is drawn are indices into it.
        """
        if self.validation is None:
            return self.train
        from dpl_nas.tasks.views import JoinedImages

        return JoinedImages(self.train, self.validation)

    def __repr__(self) -> str:
        return in_a_line(
            f"Task({self.name!r}, {len(self.class_names)} classes, {len(self.train.labels)} "
            f"training {self.inputs}, {len(self.test.labels)} test {self.inputs})"
        )

    def captions(self, template: str | None = None) -> list[str]:
        """The caption of every class under ``template`` (the task's own by default)."""
        return [(template or self.template).replace("{}", name) for name in self.class_names]
