"""What is there of tasks on disk: the benchmark's datasets and a user's own images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.observer import Observer
from dpl_nas.tasks.checks import check_tested
from dpl_nas.tasks.coop.inventory import Inventory, State, examine, take_inventory
from dpl_nas.tasks.coop.table import DATASETS, PREFIX, Figures
from dpl_nas.tasks.copies import tell_copies
from dpl_nas.tasks.own import load_own

__all__ = ["take_inventories"]


def take_inventories(
    root: str | Path | None,
    names: Sequence[str] = (),
    *,
    decode: bool = True,
    observer: Observer | None = None,
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

    Raises
    ------
    TaskError
        If a name is neither, or there is no folder ``root``.
    """
    watching = observer or Observer()
    own = {name for name in names if _is_own(name)}
    published = [name for name in names if name not in own]
    found: list[Inventory] = []
    if published or not own:
        found = take_inventory(root, published, decode=decode, observer=watching)
    if not own:
        return found
    rest = iter(found)
    return [_look(name, decode, watching) if name in own else next(rest) for name in names]


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
