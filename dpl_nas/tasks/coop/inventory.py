"""What is there of the benchmark's datasets, what is missing, and where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from dpl_nas.errors import TaskError
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.text import make_printable
from dpl_nas.observer import Observer, Stage
from dpl_nas.tasks.checks import check_each
from dpl_nas.tasks.coop.loading import find_dataset, load_coop_task, read_dataset
from dpl_nas.tasks.coop.table import DATASETS, PREFIX, Dataset, Figures
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.task import ImageSet

__all__ = ["Inventory", "State", "examine", "take_inventory"]

#: Stands for the folder of the datasets where none is given.
_ROOT = Path("ROOT")
#: Files between two reports of the progress.
_STEP = 64


class State(StrEnum):
    """What a dataset is found to be."""

    COMPLETE = "complete"
    #: All files are there, but not as many as published.
    OTHER = "other figures"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    ABSENT = "absent"


@dataclass(frozen=True)
class Inventory:
    """A dataset as it was found.

    Attributes
    ----------
    task
        Name of the task.
    folder
        Its folder, or where it belongs.
    missing
        Files and folders that are not there.
    unreadable
        Sentences on files that are no readable images.
    problem
        A sentence on lists or folders that are damaged.
    found, published
        Numbers of classes and images; nothing is published of one's own images.
    """

    task: str
    state: State
    folder: str
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    problem: str
    found: Figures | None
    published: Figures | None

    __repr__ = short_repr

    @property
    def usable(self) -> bool:
        """Whether all is there and can be read."""
        return self.state in {State.COMPLETE, State.OTHER}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def take_inventory(
    root: AnyPath | None,
    names: Sequence[str] = (),
    *,
    decode: bool = True,
    observer: Observer | None = None,
) -> list[Inventory]:
    """Look for datasets below ``root``, count them, and read their images.

    Parameters
    ----------
    root
        Folder of the datasets; without one, all are absent.
    names
        Tasks to look for; all by default.
    decode
        Whether images are read, rather than looked for only.

    Raises
    ------
    TaskError
        If there is no dataset of a name, or no folder ``root``.
    """
    unknown = [name for name in names if name.removeprefix(PREFIX) not in DATASETS]
    if unknown and "/" in unknown[0].removeprefix(PREFIX):
        raise TaskError(
            f"only datasets of the benchmark, {PREFIX}<dataset>, and paths of your own images are "
            f"checked, found '{make_printable(unknown[0]):.100}': give one of them"
        )
    if unknown:
        # It says what is known.
        load_coop_task(f"{PREFIX}{unknown[0].removeprefix(PREFIX)}", root)
    if root is not None and not Path(root).is_dir():
        raise TaskError(
            f"there is no folder {make_printable(str(root))}: give the one of the datasets"
        )
    place = _ROOT if root is None else Path(root).absolute()
    chosen = [name.removeprefix(PREFIX) for name in names] or DATASETS
    return [_look(DATASETS[name], place, decode, observer or Observer()) for name in chosen]


def _look(dataset: Dataset, root: Path, decode: bool, observer: Observer) -> Inventory:
    place = find_dataset(dataset, root)
    seen = Inventory(
        task=f"{PREFIX}{dataset.name}",
        state=State.ABSENT,
        folder=str(place.folder),
        missing=tuple(map(str, place.missing)),
        unreadable=(),
        problem="",
        found=None,
        published=dataset.figures,
    )
    if not place.folder.is_dir():
        return seen
    try:
        listing = read_dataset(dataset, place)
    except TaskError as error:
        state = State.INCOMPLETE if place.missing else State.DAMAGED
        return replace(seen, state=state, problem=str(error))
    parts = (listing.train, listing.validation, listing.test)
    found = Figures(len(listing.class_names), *(len(part.places) for part in parts))
    places = list(dict.fromkeys(chain(*(part.places for part in parts))))
    images = ImageFiles(places, range(len(places)), root=str(listing.images))
    missing, unreadable = examine(
        [(images, row) for row in range(len(places))], decode, seen.task, observer
    )
    if unreadable:
        state = State.DAMAGED
    elif missing or place.missing:
        state = State.INCOMPLETE
    else:
        state = State.COMPLETE if found == dataset.figures else State.OTHER
    return replace(
        seen,
        state=state,
        missing=(*seen.missing, *missing),
        unreadable=tuple(unreadable),
        problem="; ".join(listing.notes),
        found=found,
    )


def examine(
    jobs: Sequence[tuple[ImageSet, int]], decode: bool, task: str, observer: Observer
) -> tuple[list[str], list[str]]:
    """Return paths of images that are not there, and sentences on those that cannot be read.

    Parameters
    ----------
    jobs
        Image sets, and an index into each.
    decode
        Whether images are read.
    task
        Name of their task, for the observer.
    """
    files = [images.path(row) if isinstance(images, ImageFiles) else None for images, row in jobs]
    lost = [file is not None and not Path(file).is_file() for file in files]
    missing = [file for file, gone in zip(files, lost, strict=True) if file is not None and gone]
    there = [job for job, gone in zip(jobs, lost, strict=True) if not gone]
    unreadable: list[str] = []
    if decode and there:
        observer.begin(Stage.CHECK, len(there))
        for done, found in enumerate(check_each(there), start=1):
            if isinstance(found, TaskError):
                unreadable.append(str(found))
            if done % _STEP == 0 or done == len(there):
                observer.advance(Stage.CHECK, done, {}, task)
        observer.end(Stage.CHECK)
    return missing, unreadable
