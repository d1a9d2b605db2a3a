"""The few-shot draw that is standard in the field."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.io.reprs import short_repr
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.task import PartOf, Task
from dpl_nas.tasks.views import places_of

__all__ = [
    "FewShotSplit",
    "draw_shots",
    "few_shot_split",
    "published_selection",
    "select_places",
    "tell_small_classes",
]

#: The published protocol validates on at most this many images a class.
PUBLISHED_VALIDATION_SHOTS = 4


@dataclass(frozen=True)
class FewShotSplit:
    """Indices into a task's pool (:attr:`~dpl_nas.tasks.task.Task.pool`).

    Grouped by class. ``train`` and ``validation`` are what a search sees; ``shots`` is the
    whole stated draw that the found prompts are trained on.
    """

    shots: tuple[int, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]

    __repr__ = short_repr


@checked()
def draw_shots(labels: Sequence[int], shots: int, generator: random.Random) -> dict[int, list[int]]:
    """Draw ``shots`` indices per class as CoOp does.

    Items are grouped by label in order of first appearance and each class is
    ``generator.sample(items, shots)``, or all of its items where it has fewer, so that with
    ``random.Random(seed)`` the selections equal those that published numbers share.
    """
    by_label: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_label.setdefault(label, []).append(index)
    return {
        label: generator.sample(items, shots) if len(items) >= shots else list(items)
        for label, items in by_label.items()
    }


def _split(
    drawn: dict[int, list[int]], shots: int, validation_shots: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Training and validation indices: the last ``validation_shots`` of each class validate.

    Of a class with fewer than ``shots``, the same share; one image at least trains.
    """
    train: list[int] = []
    validation: list[int] = []
    for items in drawn.values():
        held_out = validation_shots
        if validation_shots and len(items) < shots:
            held_out = min(len(items) - 1, max(1, len(items) * validation_shots // shots))
        cut = len(items) - held_out
        train += items[:cut]
        validation += items[cut:]
    return tuple(train), tuple(validation)


@checked()
def tell_small_classes(task: Task, shots: int) -> None:
    """Warn of classes with fewer than ``shots`` training images, which give what they have."""
    counts = _counts(task)
    small = [name for name, count in zip(task.class_names, counts, strict=True) if count < shots]
    if small:
        warnings.warn(
            f"task {task.name}: {len(small)} of {len(counts)} classes have fewer than {shots} "
            f"training images, so all of these are used; the smallest class has {min(counts)}: "
            f"{tell_names(small)}",
            DplWarning,
            stacklevel=2,
        )


def _counts(task: Task) -> list[int]:
    """Training images of each class."""
    counts = [0] * len(task.class_names)
    for label in task.train.labels:
        counts[label] += 1
    return counts


def published_selection(task: Task, shots: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the selection that published numbers share: what trains, and what validates.

    Both are indices into the task's pool. A class with fewer images gives what it has. Without a
    validation set, no images validate.
    """
    if task.whole is not None:
        chosen = published_selection(task.whole.task, shots, seed)
        train, validation = (_within(rows, task.whole) for rows in chosen)
        return list(train), list(validation)
    wanted = 0 if task.validation is None else min(shots, PUBLISHED_VALIDATION_SHOTS)
    drawn, more = _draw(task, shots, seed, wanted)
    return list(chain(*drawn.values())), list(more)


@checked()
def select_places(task: Task, shots: int, seed: int) -> tuple[list[str], list[str]]:
    """Return the paths of :func:`published_selection`, as the task's lists have them.

    Raises
    ------
    TaskError
        If the task has no training images, no class with so many, or images without paths.
    """
    check_whole("shots", shots, 1)
    check_whole("seed", seed, 0)
    if not task.train.labels:
        raise _tests_only(task)
    _check_counts(task if task.whole is None else task.whole.task, shots, 0)
    parts = [places_of(task.pool, rows) for rows in published_selection(task, shots, seed)]
    train, validation = ([place for place in part if place is not None] for part in parts)
    if len(train) + len(validation) < sum(map(len, parts)):
        raise TaskError(f"the images of task {task.name} are no files, so there are no paths")
    return train, validation


@checked()
def few_shot_split(
    task: Task,
    shots: int,
    seed: int,
    validation: Literal["none", "split", "extra"] = "none",
    validation_shots: int | None = None,
) -> FewShotSplit:
    """Draw the few-shot images of ``task`` for a seed.

    A class with fewer images than ``shots`` gives all that it has, as in the field. Of a task with
    some classes of another, they are those that are drawn of all classes.

    Parameters
    ----------
    validation
        ``none``: every shot trains. ``split``: validation images come out of the ``shots``.
        ``extra``: they are drawn on top of them with the same generator, as published: from the
        task's validation set or, without one, from the images left over.
    validation_shots
        Images per class; by default half the shots, or min(shots, 4) with ``extra``.

    Raises
    ------
    TaskError
        If the task is for tests only, no class has as many training images as are asked for, one
        has none or, with ``extra`` and without a validation set, too few; or if a split leaves
        nothing to train on.
    """
    check_whole("shots", shots, 1)
    check_whole("seed", seed, 0)
    if validation_shots is not None:
        check_whole("validation_shots", validation_shots, 0)
    if task.whole is not None:
        split = few_shot_split(task.whole.task, shots, seed, validation, validation_shots)
        parts = (split.shots, split.train, split.validation)
        return FewShotSplit(*(_within(rows, task.whole) for rows in parts))
    default = {
        "none": 0,
        "split": shots // 2,
        "extra": min(shots, PUBLISHED_VALIDATION_SHOTS),
    }[validation]
    wanted = default if validation_shots is None else validation_shots
    if task.selections is not None and validation == "extra":
        _check_published(task, wanted, default)
    own = task.validation is not None or task.selections is not None
    _check_counts(task, shots, wanted if validation == "extra" and not own else 0)
    if validation == "split" and not 0 < wanted < shots:
        fewer = f"set search.validation_shots to {shots - 1} at most, " if shots > 1 else ""
        raise TaskError(
            "a search needs at least one shot a class to train on and one to validate on, found "
            f"{shots} {'shot' if shots == 1 else 'shots'}, of which {wanted} to validate on: ask "
            f"for {max(wanted, 1) + 1} shots or more, {fewer}or set search.validation=extra"
        )
    drawn, more = _draw(task, shots, seed, wanted if validation == "extra" else 0)
    everything = tuple(chain(*drawn.values()))
    if validation == "extra":
        return FewShotSplit(everything, everything, tuple(more))
    return FewShotSplit(everything, *_split(drawn, shots, wanted))


def _check_published(task: Task, wanted: int, published: int) -> None:
    """Raise an error unless ``wanted`` validation images a class are what is published."""
    if task.validation is None:
        raise TaskError(
            f"task {task.name} has no validation images: set search.validation=split, or use "
            "coop/<dataset>, which draws them from the training images"
        )
    if wanted != published:
        raise TaskError(
            f"task {task.name} has published its validation images, {published} a class: leave out "
            f"search.validation_shots={wanted}, or use coop/<dataset>, which draws them"
        )


def _check_counts(task: Task, shots: int, left_over: int) -> None:
    """Raise an error if there are too few training images.

    Parameters
    ----------
    left_over
        Training images that every class must have besides the shots.
    """
    counts = _counts(task)
    if not any(counts):
        raise _tests_only(task)
    fewest, most = min(counts), max(counts)
    # A number that no class has is a mistake; a class that has fewer gives what it has.
    strict = left_over > 0 or not fewest
    found = fewest if strict else most
    if found < shots + left_over:
        extra = f" and {left_over} more to validate" if left_over else ""
        name = tell_names([task.class_names[counts.index(found)]])
        raise TaskError(
            f"task {task.name}: expected {shots} shots a class{extra}, but "
            f"{'' if strict else 'the largest '}class {name} has {found} training images: "
            f"{'ask for fewer' if found else 'add some'}"
        )


def _tests_only(task: Task) -> TaskError:
    return TaskError(
        f"task {task.name} is for tests only, as it has no training images: train on another one, "
        "and test its prompts on this one with dpl-nas evaluate RUN --task"
    )


def _draw(
    task: Task, shots: int, seed: int, wanted: int
) -> tuple[dict[int, list[int]], Iterable[int]]:
    """Rows of the pool: by class what is drawn, then ``wanted`` more a class that validate."""
    if task.selections is not None:
        chosen, more = task.selections.read(shots, seed)
        drawn: dict[int, list[int]] = {}
        for row in chosen:
            drawn.setdefault(task.train.labels[row], []).append(row)
        cut = len(task.train.labels)
        return drawn, [cut + row for row in more] if wanted else []
    generator = random.Random(seed)
    drawn = draw_shots(task.train.labels, shots, generator)
    if not wanted:
        return drawn, []
    if task.validation is None:
        taken = set(chain(*drawn.values()))
        rest: Sequence[int] = [row for row in range(len(task.train.labels)) if row not in taken]
    else:
        rest = range(len(task.train.labels), len(task.pool.labels))
    more_drawn = draw_shots([task.pool.labels[row] for row in rest], wanted, generator)
    return drawn, [rest[index] for index in chain(*more_drawn.values())]


def _within(rows: Iterable[int], part: PartOf) -> tuple[int, ...]:
    """Those ``rows`` of the whole pool that the part has, as rows of its own pool."""
    own = {row: number for number, row in enumerate(part.rows)}
    return tuple(own[row] for row in rows if row in own)
