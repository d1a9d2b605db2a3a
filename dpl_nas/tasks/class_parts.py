"""The base or the new classes of a task: the halves of base-to-new generalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dpl_nas.config import Classes
from dpl_nas.errors import TaskError
from dpl_nas.tasks.task import ImageSet, PartOf, Task
from dpl_nas.tasks.views import SomeImages

__all__ = ["take_classes"]


def take_classes(task: Task, classes: Classes) -> Task:
    """Return the task with its base classes, the first ceil(n / 2) by label, or with the others.

    They are numbered from 0. Few-shot images are those that are drawn of all classes, as
    published.

    Raises
    ------
    TaskError
        If nothing is left, or the task has only some classes already.
    """
    if classes == task.classes:
        return task
    if task.whole is not None:
        raise TaskError(
            f"task {task.name} has only its {task.classes} classes: take the {classes} ones of the "
            "task of all classes"
        )
    cut = -(-len(task.class_names) // 2)
    chosen = range(cut) if classes == "base" else range(cut, len(task.class_names))
    if not chosen:
        raise TaskError(
            f"task {task.name} has no {classes} classes, as it has {len(task.class_names)}: use "
            "classes=all"
        )
    return replace(
        task,
        class_names=task.class_names[chosen.start : chosen.stop],
        own_labels=task.own_labels[chosen.start : chosen.stop],
        train=_of(task.train, chosen),
        test=_of(task.test, chosen),
        validation=None if task.validation is None else _of(task.validation, chosen),
        classes=classes,
        whole=PartOf(task, tuple(_rows(task.pool, chosen))),
    )


def _of(images: ImageSet, classes: Sequence[int]) -> ImageSet:
    rows = _rows(images, classes)
    return SomeImages(images, rows, [images.labels[row] - classes[0] for row in rows])


def _rows(images: ImageSet, classes: Sequence[int]) -> list[int]:
    return [row for row, label in enumerate(images.labels) if label in classes]
