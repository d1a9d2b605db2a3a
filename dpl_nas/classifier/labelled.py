"""The task that a user's labelled pictures make."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpl_nas.classifier.pictures import is_dataset, pictures_of
from dpl_nas.classifier.saved import as_labels
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import check_class_name, look_alikes, spaced, tell_names
from dpl_nas.tasks.own import load_own, on_background
from dpl_nas.tasks.python_images import PythonImages, labels_of
from dpl_nas.tasks.templates import DEFAULT_TEMPLATE, check_template, imagenet_templates

__all__ = ["PLAIN_BACKGROUND", "labelled_task"]

#: The colour behind transparent pictures that are no folder, which may say another.
PLAIN_BACKGROUND = "white"


def labelled_task(
    pictures: Any,
    y: Any,
    *,
    class_names: Mapping[Any, str] | Sequence[str] | None,
    template: str | None,
    background: str | None,
) -> tuple[Task, NDArray[Any]]:
    """Return the task of labelled pictures, and the label of each class.

    Parameters
    ----------
    pictures, y
        As :meth:`PromptClassifier.fit` takes them.
    class_names
        Names instead of the labels: by label, or in the order of the labels.
    template
        Caption template instead of the default, or of that of the folder.
    background
        Colour behind transparent pictures; ``None`` for that of the folder, or white.

    Raises
    ------
    TaskError
        If pictures cannot be read, or there are fewer than two classes.
    ConfigError
        If labels, names or the template are not valid.
    """
    if isinstance(pictures, (str, os.PathLike)) and y is None:
        task = load_own(Path(pictures), test_share=0.0)
        return _named(task, class_names, template, background), np.asarray(task.class_labels)
    if y is None and is_dataset(pictures):
        y = labels_of(pictures, "X")
    if y is None:
        raise ConfigError(
            "expected labels, found none: call fit(pictures, labels), fit(folder) with a "
            "folder that has a folder a class, or fit(dataset)"
        )
    behind = PLAIN_BACKGROUND if background is None else background
    opened = pictures_of(pictures, behind)
    labels, numbers = np.unique(_plain_labels(y), return_inverse=True)
    if len(numbers) != len(opened):
        raise TaskError(
            f"expected a label for each picture, found {len(opened)} pictures and "
            f"{len(numbers)} labels"
        )
    names = _names(labels, class_names)
    try:
        as_labels(labels.tolist())
    except ValueError as error:
        raise ConfigError(f"labels: {error}") from None
    template = template or DEFAULT_TEMPLATE
    check_template(template, "template")
    task = Task(
        name="own pictures",
        class_names=names,
        template=template,
        templates=imagenet_templates(),
        train=PythonImages(_Labelled(opened, numbers), numbers.tolist(), "X", behind),
        test=PythonImages([], [], "no test", behind),
        augmentation="crop_flip",
        own_labels=tuple(map(str, labels)),
        background=behind,
    )
    return task, labels


def _named(
    task: Task,
    class_names: Mapping[Any, str] | Sequence[str] | None,
    template: str | None,
    background: str | None,
) -> Task:
    """A task from a folder with what was asked for instead of its own."""
    changed: dict[str, Any] = {}
    if class_names is not None:
        changed["class_names"] = _names(np.asarray(task.class_labels), class_names)
    if template is not None:
        check_template(template, "template")
        changed["template"] = template
    task = replace(task, **changed)
    return task if background is None else on_background(task, background)


def _names(
    labels: NDArray[Any], given: Mapping[Any, str] | Sequence[str] | None
) -> tuple[str, ...]:
    """The names of the classes with these labels."""
    if len(labels) < 2:
        raise TaskError(f"expected two classes or more, found {len(labels)}")
    if given is None:
        names = [spaced(str(label)) for label in labels]
    elif isinstance(given, Mapping):
        known = {str(label): name for label, name in given.items()}
        if lost := sorted(set(known) - {str(label) for label in labels}):
            raise ConfigError(
                f"class_names has names for {tell_names(lost)}, which are no labels: they are "
                f"{tell_names(map(str, labels))}"
            )
        names = [known.get(str(label), spaced(str(label))) for label in labels]
    else:
        names = list(given)
    if len(names) != len(labels) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"class_names: expected {len(labels)} texts, found {abbreviate(given)}")
    for name in names:
        check_class_name(name, "class_names")
    if twice := look_alikes(names):
        raise ConfigError(
            f"class_names should be different, found the same name twice, {tell_names(twice)}"
        )
    return tuple(names)


def _plain_labels(y: Any) -> NDArray[Any]:
    """The labels (pictures,) of pictures: all texts, all whole numbers, or all booleans."""
    try:
        # To numpy, a number among texts is a text.
        given = np.asarray(y if hasattr(y, "__array__") else np.array(list(y), dtype=object))
    except (TypeError, ValueError):
        raise ConfigError(
            f"expected a list with a label for each picture, found {abbreviate(y)}"
        ) from None
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise ConfigError(f"expected a label for each picture, found labels of shape {given.shape}")
    labels = [each.item() if isinstance(each, np.generic) else each for each in given.tolist()]
    kinds = (bool, int, str)
    for label in labels:
        if not isinstance(label, kinds):
            raise ConfigError(
                "labels should be texts, whole numbers or booleans, found "
                f"{abbreviate(label)}: change it, or leave its picture out"
            )
    found = {next(kind for kind in kinds if isinstance(each, kind)) for each in labels}
    if len(found) > 1:
        raise ConfigError(
            f"labels should be all of one kind, found {abbreviate(labels)}: make texts of them"
        )
    return np.array(labels)


class _Labelled:
    """Pictures with the number of their class."""

    def __init__(self, pictures: Sequence[Any], numbers: NDArray[Any]) -> None:
        self._pictures, self._numbers = pictures, numbers

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._pictures[index], int(self._numbers[index])

    def __len__(self) -> int:
        return len(self._numbers)
