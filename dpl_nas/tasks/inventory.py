"""What is there of tasks on disk: the benchmark's datasets and a user's own images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dpl_nas.console import watched
from dpl_nas.errors import TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.observer import Observer
from dpl_nas.tasks.checks import check_tested
from dpl_nas.tasks.coop.inventory import Inventory, State, examine, take_inventory
from dpl_nas.tasks.coop.table import DATASETS, PREFIX, Figures
from dpl_nas.tasks.copies import tell_copies
from dpl_nas.tasks.own import load_own

__all__ = ["take_inventories"]


@checked(TaskError)
def take_inventories(
    root: AnyPath | None,
    names: Sequence[AnyPath] = (),
    *,
    decode: bool = True,
    observer: Observer | None = None,
    quiet: bool = False,
) -> list[Inventory]:
    """Look at datasets of the benchmark and at own images, count them, and read all images.

    Parameters
    ----------
    root
        Folder of the datasets.
    names
        Datasets, and paths of own images; all datasets by default.
    decode
        Whether images are read, rather than looked for only.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    TaskError
        If a name is neither, or there is no folder ``root``.
    """
    texts = [os.fspath(name) for name in names]
    own = {name for name in texts if _is_own(name)}
    published = [name for name in texts if name not in own]
    found: list[Inventory] = []
    with watched(observer, quiet=quiet) as watching:
        if published or not own:
            found = take_inventory(root, published, decode=decode, observer=watching)
        if not own:
            return found
        rest = iter(found)
        return [_look(name, decode, watching) if name in own else next(rest) for name in texts]


def _is_own(name: str) -> bool:
    return name.removeprefix(PREFIX) not in DATASETS and Path(name).exists()


def _look(name: str, decode: bool, observer: Observer) -> Inventory:
    """Look at own images. Notes are those of loading, and of copies."""
    seen = Inventory(
        task=name,
        state=State.DAMAGED,
        folder=str(Path(name).absolute()),
        missing=(),
        unreadable=(),
        problem="",
        found=None,
        published=None,
    )
    try:
        task = load_own(Path(name))
    except TaskError as error:
        return replace(seen, problem=str(error))
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    sets = {part: images for part, images in parts.items() if images is not None}
    counts = {part: len(sets[part].labels) if part in sets else 0 for part in parts}
    jobs = [(images, row) for images in sets.values() for row in range(len(images.labels))]
    missing, unreadable = examine(jobs, decode, name, observer)
    problem = ""
    try:
        check_tested(task)
        if decode and not missing and not unreadable:
            tell_copies(task)
    except TaskError as error:
        problem = str(error)
    if unreadable:
        state = State.DAMAGED
    else:
        state = State.INCOMPLETE if missing or problem else State.COMPLETE
    return replace(
        seen,
        state=state,
        folder=task.folder,
        missing=tuple(missing),
        unreadable=tuple(unreadable),
        problem=problem,
        found=Figures(classes=len(task.class_names), **counts),
    )
