"""The few-shot draw that is standard in the field."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.tasks.class_folders import tell_names
from dpl_nas.tasks.task import Task

__all__ = ["FewShotSplit", "draw_shots", "few_shot_split", "tell_small_classes"]

#: The published protocol validates on at most this many images a class.
PUBLISHED_VALIDATION_SHOTS = 4


@dataclass(frozen=True)
class FewShotSplit:
    """Indices into a task's training images.

    Grouped by class. ``train`` and ``validation`` are what a search sees; ``shots`` is the
    whole stated draw that the found prompts are trained on.
    """

    shots: tuple[int, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]


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
            f"training images and give all that they have, {min(counts)} at least: "
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


@checked()
def few_shot_split(
    task: Task,
    shots: int,
    seed: int,
    validation: Literal["none", "split", "extra"] = "none",
    validation_shots: int | None = None,
) -> FewShotSplit:
    """Draw the few-shot images of ``task`` for a seed.

    A class with fewer images than ``shots`` gives all that it has, as in the field.

    Parameters
    ----------
    validation
        ``none``: every shot trains. ``split``: validation images come out of the ``shots``.
        ``extra``: they are drawn on top of them from the images left over, with the same
        generator, as published.
    validation_shots
        Images per class; by default half the shots, or min(shots, 4) with ``extra``.

    Raises
    ------
    TaskError
        If no class has as many training images as are asked for, one has none or, with
        ``extra``, too few; or if a split leaves nothing to train on.
    """
    check_whole("shots", shots, 1)
    check_whole("seed", seed, 0)
    labels = task.train.labels
    default = {
        "none": 0,
        "split": shots // 2,
        "extra": min(shots, PUBLISHED_VALIDATION_SHOTS),
    }[validation]
    wanted = default if validation_shots is None else validation_shots
    needed = shots + wanted if validation == "extra" else shots
    counts = _counts(task)
    fewest, most = min(counts), max(counts)
    # A number that no class has is a mistake; what some classes lack, they do without.
    strict = validation == "extra" or not fewest
    found = fewest if strict else most
    if found < needed:
        extra = f" and {wanted} more to validate" if validation == "extra" else ""
        name = tell_names([task.class_names[counts.index(found)]])
        raise TaskError(
            f"task {task.name}: {shots} shots a class{extra} were asked for, but "
            f"{'' if strict else 'even '}class {name} has {found} training images; ask for fewer"
        )
    if validation == "split" and not 0 < wanted < shots:
        fewer = f"set search.validation_shots to {shots - 1} at most, " if shots > 1 else ""
        raise TaskError(
            f"a search validates on a part of its shots and trains on the rest, at least one image "
            f"a class each: of {shots} {'shot' if shots == 1 else 'shots'}, {wanted} would "
            f"validate; ask for {max(wanted, 1) + 1} shots or more, {fewer}or "
            "search.validation=extra"
        )
    generator = random.Random(seed)
    drawn = draw_shots(labels, shots, generator)
    everything = tuple(index for items in drawn.values() for index in items)
    if validation != "extra":
        train, held_out = _split(drawn, shots, wanted)
        return FewShotSplit(everything, train, held_out)
    taken = set(everything)
    rest = [index for index in range(len(labels)) if index not in taken]
    more = draw_shots([labels[index] for index in rest], wanted, generator)
    held_out = tuple(rest[index] for items in more.values() for index in items)
    return FewShotSplit(everything, everything, held_out)
