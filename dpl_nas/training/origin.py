"""Where something trained comes from, and whether it may answer for a task."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

from dpl_nas.config import Classes
from dpl_nas.errors import CheckpointError, DplWarning
from dpl_nas.space import Space
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import tell_names

__all__ = ["Origin", "check_classes"]


class Origin(Protocol):
    """The task, the classes and the images that something was trained on."""

    @property
    def task(self) -> str:
        """Name or path of the task, as it was given."""

    @property
    def classes(self) -> Classes:
        """Which of its classes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of these."""

    @property
    def folder(self) -> str:
        """Absolute path of the task; empty for an embedded one."""

    @property
    def data(self) -> str:
        """Folder of all datasets if it is one of them, or empty."""

    @property
    def images(self) -> str:
        """Digest of what was trained on (:func:`dpl_nas.tasks.task_digest`)."""

    @property
    def space(self) -> Space:
        """Search space of the training."""

    @property
    def shots(self) -> int:
        """Training images a class."""

    @property
    def seed(self) -> int:
        """Seed of all draws."""


def _count(names: Sequence[str], classes: Classes) -> str:
    """The number of classes, and which half of their task's they are."""
    return f"{len(names)} {'' if classes == 'all' else f'{classes} '}classes"


def check_classes(what: str, trained: Origin, task: Task, *, other_classes: bool) -> None:
    """Raise an error if a task has other classes than what was trained, or tell if that is meant.

    Parameters
    ----------
    what
        What was trained, such as ``prompts``.

    Raises
    ------
    CheckpointError
        If it has, and that is not meant.
    """
    names, found = trained.class_names, task.class_names
    if names == found:
        return
    if other_classes:
        shared = len(set(names) & set(found))
        warnings.warn(
            f"the {what} were trained for the {_count(names, trained.classes)} of "
            f"{trained.task}, and are tested on the {_count(found, task.classes)} of {task.name}, "
            f"{shared} of them the same",
            DplWarning,
            stacklevel=3,
        )
        return
    lacks, has = (
        [each for each in a if each not in b] for a, b in ((names, found), (found, names))
    )
    if lacks or has:
        reason = " and ".join(
            f"{verb} {tell_names(each)}" for verb, each in (("lacks", lacks), ("adds", has)) if each
        )
    else:
        reason = "has them in another order"
    if trained.classes != "all" and not lacks:
        remedy = f"take its {trained.classes} classes with --classes {trained.classes}"
    elif task.folder:
        remedy = "name its classes alike, such as with class_names in task.yml"
    else:
        # Nobody can rename the classes of an embedded one.
        remedy = "test on a task with the same classes"
    raise CheckpointError(
        f"the {what} were trained for the {_count(names, trained.classes)} of {trained.task}, "
        "and the task "
        f"{task.name} {reason}: {remedy}, or if they are meant to differ, give --other-classes "
        "(in Python, other_classes=True)"
    )
