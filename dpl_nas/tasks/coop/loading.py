"""Loading of the benchmark's datasets from the folder that has them all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.coop.aircraft import read_aircraft
from dpl_nas.tasks.coop.imagenet import read_imagenet, read_numbered, read_variant
from dpl_nas.tasks.coop.listing import Listed, Listing
from dpl_nas.tasks.coop.selections import SELECTED, TwoStageSelections
from dpl_nas.tasks.coop.split_file import read_split
from dpl_nas.tasks.coop.table import DATASETS, PREFIX, Dataset, Kind
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.names import check_text, spaced, tell_names, unknown_task
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.templates import imagenet_templates

__all__ = [
    "Place",
    "coop_descriptions",
    "find_dataset",
    "is_coop",
    "load_coop_task",
    "read_dataset",
]


@dataclass(frozen=True)
class Place:
    """Where a dataset is, or should be.

    Attributes
    ----------
    folder
        Folder of the dataset.
    images
        Folder of its images.
    missing
        What is not there, as paths.
    """

    folder: Path
    images: Path
    missing: tuple[Path, ...]


def coop_descriptions() -> dict[str, str]:
    """The tasks of the benchmark by name, and a line about each."""
    return {f"{PREFIX}{each.name}": each.about for each in DATASETS.values()} | {
        f"{SELECTED}{each.name}": f"{each.about}; with the public few-shot selections of 2SFS"
        for each in DATASETS.values()
        if each.figures.train
    }


def is_coop(name: str) -> bool:
    """Return whether the name is meant to be one of a task of the benchmark."""
    return name.startswith((PREFIX, SELECTED))


def load_coop_task(name: str, data: AnyPath | None) -> Task:
    """Load a dataset of the benchmark, such as ``coop/OxfordPets``, below ``data``.

    Of its images, nothing is read but names.

    Raises
    ------
    TaskError
        If there is no such dataset, or its files are missing or damaged.
    """
    known = coop_descriptions()
    if name not in known:
        raise unknown_task(name, known)
    if data is None:
        raise TaskError(
            f"task {name} is read from the folder of all datasets: give it with --data ROOT, or in "
            "Python with data=ROOT"
        )
    dataset = DATASETS[name.partition("/")[2]]
    root = Path(data).absolute()
    if not root.is_dir():
        raise TaskError(
            f"there is no folder {make_printable(str(root))}: give that of all datasets with --data"
        )
    # It is kept beside what is learned.
    check_text(str(root), "the path of the datasets")
    place = find_dataset(dataset, root)
    listing = read_dataset(dataset, place)
    for note in (*listing.notes, *_same_names(name, listing)):
        warnings.warn(note, DplWarning, stacklevel=2)
    selected = name.startswith(SELECTED)
    return Task(
        name=name,
        class_names=tuple(map(spaced, listing.class_names)),
        template=dataset.template,
        templates=imagenet_templates(),
        train=_images(listing, listing.train),
        validation=_images(listing, listing.validation) if listing.validation.places else None,
        test=_images(listing, listing.test),
        augmentation="crop_flip",
        folder=str(place.folder),
        data=str(root),
        folders=(str(place.images),) if dataset.kind in _LISTED_BY_FOLDER else (),
        selections=TwoStageSelections(place.folder, listing.train, listing.validation)
        if selected
        else None,
        same_names=True,
    )


#: Kinds whose images are whatever is in their folders.
_LISTED_BY_FOLDER = {"imagenet", "variant", "numbered"}
#: What reads each kind, given its first list and the folder of its images.
_READERS: Mapping[Kind, Callable[[Path, Path], Listing]] = {
    "split": read_split,
    "aircraft": read_aircraft,
    "imagenet": read_imagenet,
    "variant": read_variant,
    "numbered": read_numbered,
}


def find_dataset(dataset: Dataset, root: Path) -> Place:
    """Find the folder of a dataset below ``root``: the first of its names that has its lists.

    Where there is none, the place where it belongs.
    """
    places = [_place(dataset, root / name) for name in dataset.folders]
    # The first whole one, else the one with the least missing; CoOp's among equals.
    return min(places, key=lambda place: len(place.missing))


def read_dataset(dataset: Dataset, place: Place) -> Listing:
    """Read what a dataset has.

    Raises
    ------
    TaskError
        If its lists or, where these are its folders, its images are missing or damaged.
    """
    needed = {place.folder / name for name in dataset.lists}
    if dataset.kind in _LISTED_BY_FOLDER:
        needed |= {place.images, place.images / "train", place.images / "val"}
    missing = [path for path in place.missing if path in needed]
    if missing:
        others = " or ".join(dataset.folders[1:])
        also = f" ({others} is read, too)" if others else ""
        raise TaskError(
            f"{PREFIX}{dataset.name} is not complete: there is no "
            f"{' and no '.join(make_printable(str(path)) for path in missing)}{also}: add "
            f"{'it' if len(missing) == 1 else 'them'}; dpl-nas tasks check --data ROOT tells what "
            "belongs where"
        )
    return _READERS[dataset.kind](place.folder / dataset.lists[0], place.images)


def _place(dataset: Dataset, folder: Path) -> Place:
    options = [folder / name for name in dataset.images]
    parts = ("train", "val") if dataset.kind == "imagenet" else ("",)
    images = next(
        (each for each in options if all((each / part).is_dir() for part in parts)), options[0]
    )
    wanted = [folder / name for name in dataset.lists]
    missing = [path for path in wanted if not path.exists()]
    missing += [images / part for part in parts if not (images / part).is_dir()]
    return Place(folder, images, tuple(missing))


def _images(listing: Listing, listed: Listed) -> ImageFiles:
    return ImageFiles(listed.places, listed.labels, root=str(listing.images))


def _same_names(task: str, listing: Listing) -> tuple[str, ...]:
    names = tuple(map(spaced, listing.class_names))
    if len(set(names)) == len(names):
        return ()
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    note = (
        f"task {task} has classes of the same name, {tell_names(twice)}, as published: it always "
        "predicts the first of them"
    )
    return (note,)
