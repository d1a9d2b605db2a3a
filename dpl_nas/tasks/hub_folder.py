"""An ``imagefolder`` of Hugging Face: images with a ``metadata.csv`` or ``metadata.jsonl``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Container
from pathlib import Path, PurePosixPath

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_class_name, check_place, spaced, tell_names
from dpl_nas.tasks.parts import (
    SPLIT,
    Part,
    find_parts,
    part_of_name,
    stated_part,
    tell_unread_parts,
)
from dpl_nas.tasks.pictures import has_picture_name
from dpl_nas.tasks.rows import TEST_SHARE, Row, file_task
from dpl_nas.tasks.settings import ColumnsFile, read_settings
from dpl_nas.tasks.tables import Line, read_table
from dpl_nas.tasks.task import Task

__all__ = ["find_metadata", "load_hub_folder"]

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"


def find_metadata(path: Path) -> list[Path]:
    """Return the metadata of a folder: its own, or those of its parts, such as ``train/``."""
    return [
        folder / name
        for folder in (path, *find_parts(path).values())
        for name in _NAMES
        if os.path.lexists(folder / name)
    ]


def load_hub_folder(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load the task in a folder whose metadata name each image and its label.

    The images of a part are in a folder such as ``train/``, ``validation/`` or ``test/``, or have
    the part in the column ``split``. Without either, a share of the images of each class is kept
    for the test. Warn of images that are not in the metadata.

    Raises
    ------
    TaskError
        If the metadata are damaged, name images elsewhere or in two parts, or it is not known
        which column has the labels.
    """
    settings, source = read_settings(path, ColumnsFile)
    if settings.image is not None:
        raise TaskError(f"{source}: remove image, as {_FILE} has the paths of the images here")
    files = find_metadata(path)
    folders = [file.parent for file in files]
    if len(set(folders)) < len(folders):
        raise TaskError(
            f"{make_printable(str(path))} has both {' and '.join(_NAMES)} in one folder: remove one"
        )
    rows = []
    for file in files:
        lines = read_table(file, (_FILE,), (SPLIT,))
        column = _column(file, lines[0], settings, source)
        found = [_row(line, file.parent.relative_to(path), column) for line in lines]
        if not any(row.part for row in found):
            tell_unread_parts(file, lines, (_FILE, column))
        rows += found
    _tell_others(path, {row.place for row in rows})
    return file_task(path, str(path), rows, settings, source, test_share=test_share)


def _column(file: Path, line: Line, settings: ColumnsFile, source: str) -> str:
    """The column of the labels."""
    others = [name for name in line.values if name not in {_FILE, SPLIT}]
    if settings.label is not None:
        if settings.label in others:
            return settings.label
    elif "label" in others or len(others) == 1:
        return "label" if "label" in others else others[0]
    raise TaskError(
        f"{make_printable(str(file))} should have a column of labels, found "
        f"{tell_names(others) or 'none'}: name it with label in {source}, or remove the file to "
        "take the names of folders"
    )


def _row(line: Line, folder: Path, column: str) -> Row:
    name, label = line.values[_FILE], line.values.get(column, "")
    check_place(name, line.where)
    check_class_name(spaced(label), line.where)
    place = os.path.normpath(folder / name)
    return Row(place, label, _part(line, PurePosixPath(place)))


def _part(line: Line, place: PurePosixPath) -> Part | None:
    by_folder = part_of_name(place.parts[0]) if len(place.parts) > 1 else None
    stated = stated_part(line)
    if by_folder and stated and by_folder != stated:
        raise TaskError(
            f"{line.where}: {SPLIT} is {stated}, but the image is in {place.parts[0]}/: correct one"
        )
    return stated or by_folder


def _tell_others(path: Path, places: Container[str]) -> None:
    """Warn of images in the folder that no metadata name."""
    others = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found = (os.path.relpath(os.path.join(folder, name), path) for name in sorted(files))  # noqa: PTH118
        others += [each for each in found if each not in places and _is_image(each)]
    if others:
        warnings.warn(
            f"{make_printable(str(path))}: {len(others)} images are not in the metadata and are "
            f"left out: {tell_names(others)}",
            DplWarning,
            stacklevel=3,
        )


def _is_image(place: str) -> bool:
    name = PurePosixPath(place).name
    return has_picture_name(name) and not name.startswith(".")
