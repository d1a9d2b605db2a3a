"""A task from a list of images with labels; a share may be kept for the test."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.names import check_text, tell_names
from dpl_nas.tasks.parts import PARTS, Part
from dpl_nas.tasks.settings import ColumnsFile, SplitFile, name_classes
from dpl_nas.tasks.task import ImageSet, Task
from dpl_nas.tasks.templates import imagenet_templates

__all__ = ["TEST_SHARE", "Row", "file_task", "sort_labels", "task_of_rows"]

#: Share that is kept for the test where nothing says so.
TEST_SHARE = 0.5
#: Of so many labels, this share with one image each is no classes.
_MANY, _NEARLY = 10, 0.9


@dataclass(frozen=True)
class Row:
    """An image of a list.

    Attributes
    ----------
    place
        Its path, or another name that no other image has.
    label
        Name of its class, as the list has it.
    part
        What it is for; ``None`` where the list does not say.
    """

    place: str
    label: str
    part: Part | None = None


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels, each once, in the order of the classes: whole numbers go by size."""
    found = sorted(set(labels))
    if all(label.isdecimal() for label in found):
        found.sort(key=lambda label: (len(number := label.lstrip("0")), number))
    return found


def file_task(
    path: Path,
    root: str,
    rows: Sequence[Row],
    settings: SplitFile,
    source: str,
    names: Sequence[str] | None = None,
    test_share: float = TEST_SHARE,
) -> Task:
    """Make a task of image files below ``root``; see :func:`task_of_rows`."""

    def images(indices: Sequence[int], labels: Sequence[int]) -> ImageFiles:
        places = [rows[index].place for index in indices]
        return ImageFiles(places, labels, root=root, background=settings.background)

    return task_of_rows(path, rows, images, settings, source, names, test_share)


def task_of_rows(
    path: Path,
    rows: Sequence[Row],
    images: Callable[[Sequence[int], Sequence[int]], ImageSet],
    settings: SplitFile,
    source: str,
    names: Sequence[str] | None = None,
    test_share: float = TEST_SHARE,
) -> Task:
    """Make a task of a list.

    A share of the images of each class is kept for the test, if the list names no part or the
    settings ask for it. Their names and the seed of the settings decide which, so that added images
    change little.

    Parameters
    ----------
    path
        Path of the task, as it was given.
    images
        Function that makes an image set of indices into ``rows`` and labels.
    settings, source
        Settings, and the path of their file.
    names
        Labels in the order of the classes; sorted by default.
    test_share
        Share of the images of each class to keep for the test if neither the list nor the settings
        say; 0 for none.

    Raises
    ------
    TaskError
        If an image is listed twice, there are fewer than two classes, one has no training images,
        all of many have one image, or it is not known which images are for the test.
    """
    place = str(path.absolute())
    check_text(place, "the path of the task")
    shown = make_printable(str(path))
    _check_rows(shown, rows)
    names = names or sort_labels(row.label for row in rows)
    if len(names) < 2:
        raise TaskError(
            f"{shown} should have two classes or more, found {tell_names(names) or 'none'}: add "
            "images of others"
        )
    _check_labels(shown, rows, settings, source)
    parts = _parts(shown, rows, settings, source, test_share)
    labels = {name: label for label, name in enumerate(names)}
    _check_classes(shown, names, rows, parts)

    def of(part: Part) -> ImageSet:
        return images(parts[part], [labels[rows[index].label] for index in parts[part]])

    return Task(
        name=str(path),
        class_names=name_classes(settings, source, names),
        template=settings.template,
        templates=settings.templates or imagenet_templates(),
        train=of("train"),
        test=of("test"),
        validation=of("validation") if parts["validation"] else None,
        augmentation=settings.augmentation,
        folder=place,
        own_labels=tuple(names),
        background=settings.background,
    )


def _check_rows(shown: str, rows: Sequence[Row]) -> None:
    twice = _repeated(row.place for row in rows)
    if twice:
        raise TaskError(
            f"{shown} lists images twice, {tell_names(twice)}: leave each in one class and one part"
        )
    known = [row for row in rows if row.part is not None]
    if 0 < len(known) < len(rows):
        other = next(row for row in rows if row.part is None)
        raise TaskError(
            f"{shown} should say for all images or for none whether they are for training, "
            f"validation or test, found it for {len(known)} of {len(rows)}, and not for "
            f"{tell_names([other.place])}: add it there, or remove it everywhere"
        )


def _check_labels(shown: str, rows: Sequence[Row], settings: SplitFile, source: str) -> None:
    """Raise an error if labels look like captions, each of one image; warn if nearly all do."""
    counts = Counter(row.label for row in rows)
    single = [label for label, count in counts.items() if count == 1]
    if len(counts) < _MANY or len(single) < _NEARLY * len(counts):
        return
    advice = "add images of each class"
    if isinstance(settings, ColumnsFile):
        advice = f"if they are, name the column of the classes with label in {source}"
    text = (
        f"{shown}: {len(single)} of {len(counts)} labels have one image each, such as "
        f"{tell_names(single[:2])}; are these captions or names of files? {advice}"
    )
    if len(single) == len(counts):
        raise TaskError(text)
    warnings.warn(text, DplWarning, stacklevel=4)


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _parts(
    shown: str, rows: Sequence[Row], settings: SplitFile, source: str, test_share: float
) -> dict[Part, list[int]]:
    """Indices of the rows of each part."""
    parts: dict[Part, list[int]] = {part: [] for part in PARTS}
    for index, row in enumerate(rows):
        parts[row.part or "train"].append(index)
    if parts["test"]:
        if settings.test is not None:
            raise TaskError(
                f"{shown} has test images, so no share of the training images is kept for that: "
                f"remove test from {source}"
            )
        return parts
    share = test_share if settings.test is None else settings.test
    if not share:
        return parts
    stated = any(row.part for row in rows)
    if stated and settings.test is None:
        raise TaskError(
            f"{shown} has no test images: mark some as test, or set test: 0.5 in {source} to keep "
            "half of the training images for the test"
        )
    kept = _kept(rows, parts["train"], share, settings.split_seed)
    parts["test"] = [index for index in parts["train"] if index in kept]
    parts["train"] = [index for index in parts["train"] if index not in kept]
    if not parts["test"]:
        raise TaskError(
            f"{shown} has one image of each class, so none can be kept for the test: add images"
        )
    images = len(parts["train"]) + len(parts["test"])
    warnings.warn(
        f"{shown}: {len(parts['test'])} of {images} images, {share:.0%} of each class, are kept "
        f"for the test; test and split_seed in {source}, or --test-share of dpl-nas fit, change "
        "that",
        DplWarning,
        stacklevel=4,
    )
    return parts


def _kept(rows: Sequence[Row], indices: Sequence[int], share: float, seed: int) -> set[int]:
    """Indices of the images that are kept for the test, by class: one at least stays."""
    by_class: dict[str, list[int]] = {}
    for index in indices:
        by_class.setdefault(rows[index].label, []).append(index)
    kept: set[int] = set()
    for found in by_class.values():
        count = min(max(round(share * len(found)), 1), len(found) - 1)
        kept.update(sorted(found, key=lambda index: _chance(rows[index].place, seed))[:count])
    return kept


def _chance(place: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{place}".encode(errors="surrogateescape")).digest()


def _check_classes(
    shown: str, names: Sequence[str], rows: Sequence[Row], parts: dict[Part, list[int]]
) -> None:
    """Raise an error for classes that cannot be learned."""
    trained = {rows[index].label for index in parts["train"]}
    lost = [name for name in names if name not in trained]
    if lost:
        raise TaskError(
            f"{shown} has no training images of {tell_names(lost)}: add some, or remove these "
            "classes"
        )
