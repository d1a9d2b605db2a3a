"""An ``imagefolder`` of Hugging Face: images with a ``metadata.csv`` or ``metadata.jsonl``."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_class_name, check_place, spaced, tell_names
from dpl_nas.tasks.rows import Part, Row, file_task, part_of_name
from dpl_nas.tasks.settings import ColumnsFile, read_settings
from dpl_nas.tasks.tables import Line, read_table
from dpl_nas.tasks.task import Task

__all__ = ["find_metadata", "load_hub_folder"]

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"


def find_metadata(path: Path) -> list[Path]:
    """Return the metadata of a folder: its own, or those of its parts, such as ``train/``."""
    parts = sorted(each for each in path.iterdir() if part_of_name(each.name) and each.is_dir())
    return [
        folder / name
        for folder in (path, *parts)
        for name in _NAMES
        if os.path.lexists(folder / name)
    ]


def load_hub_folder(path: Path) -> Task:
    """Load the task in a folder whose metadata name each image and its label.

    The images of a part are in a folder such as ``train/``, ``validation/`` or ``test/``. Without
    these, a share of the images of each class is kept for the test.

    Raises
    ------
    TaskError
        If the metadata are damaged, name images elsewhere, or it is not known which column has
        the labels.
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
        lines = read_table(file, (_FILE,))
        column = _column(file, lines[0], settings, source)
        rows += [_row(line, file.parent.relative_to(path), column) for line in lines]
    return file_task(path, str(path), rows, settings, source)


def _column(file: Path, line: Line, settings: ColumnsFile, source: str) -> str:
    """The column of the labels."""
    others = [name for name in line.values if name != _FILE]
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
    return Row(place, label, _part(PurePosixPath(place)))


def _part(place: PurePosixPath) -> Part | None:
    return part_of_name(place.parts[0]) if len(place.parts) > 1 else None
