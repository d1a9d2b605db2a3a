"""Which images a few-shot run may see: the draw that the field shares."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dpl_nas.errors import TaskError
from dpl_nas.tasks.task import Task

__all__ = ["FewShotSplit", "draw_shots", "few_shot_split"]

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


def draw_shots(labels: Sequence[int], shots: int, generator: random.Random) -> dict[int, list[int]]:
    """``shots`` indices a class, drawn as CoOp draws them.

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
    drawn: dict[int, list[int]], validation_shots: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Training and validation indices: the last ``validation_shots`` of each class validate."""
    train: list[int] = []
    validation: list[int] = []
    for items in drawn.values():
        cut = len(items) - validation_shots
        train += items[:cut]
        validation += items[cut:]
    return tuple(train), tuple(validation)


def few_shot_split(
    task: Task,
    shots: int,
    seed: int,
    validation: Literal["none", "split", "extra"] = "none",
    validation_shots: int | None = None,
) -> FewShotSplit:
    """The few-shot images of ``task`` for a seed.

    Parameters
    ----------
    validation
        ``none``: every shot trains. ``split``: validation images come out of the ``shots``.
        ``extra``: they are drawn on top of them from the images left over, with the same
        generator, as published.
    validation_shots
        Images a class; by default half the shots, or min(shots, 4) with ``extra``.

    Raises
    ------
    TaskError
        If a class has fewer training images than are asked for, or a split leaves nothing to
        train on.
    """
    labels = task.train.labels
    default = {
        "none": 0,
        "split": shots // 2,
        "extra": min(shots, PUBLISHED_VALIDATION_SHOTS),
    }[validation]
    wanted = default if validation_shots is None else validation_shots
    needed = shots + wanted if validation == "extra" else shots
    counts = [0] * len(task.class_names)
    for label in labels:
        counts[label] += 1
    fewest = min(range(len(counts)), key=counts.__getitem__)
    if counts[fewest] < needed:
        extra = f" and {wanted} more to validate" if validation == "extra" else ""
        raise TaskError(
            f"task {task.name}: {shots} shots a class{extra} were asked for, but class "
            f"'{task.class_names[fewest]}' has {counts[fewest]} training images; ask for fewer"
        )
    if validation == "split" and not 0 < wanted < shots:
        raise TaskError(
            f"a search validates on a part of its shots and trains on the rest, at least one image "
            f"a class each: of {shots} {'shot' if shots == 1 else 'shots'}, {wanted} would "
            "validate; ask for 2 shots or more, set search.validation_shots to fewer, or "
            "search.validation=extra"
        )
    generator = random.Random(seed)
    drawn = draw_shots(labels, shots, generator)
    everything = tuple(index for items in drawn.values() for index in items)
    if validation != "extra":
        train, held_out = _split(drawn, wanted)
        return FewShotSplit(everything, train, held_out)
    taken = set(everything)
    rest = [index for index in range(len(labels)) if index not in taken]
    more = draw_shots([labels[index] for index in rest], wanted, generator)
    held_out = tuple(rest[index] for items in more.values() for index in items)
    return FewShotSplit(everything, everything, held_out)
