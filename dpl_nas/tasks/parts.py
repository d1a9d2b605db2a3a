"""The parts of a task, and the names that people give to them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import is_file, is_folder, list_entries
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.pictures import is_picture
from dpl_nas.tasks.tables import Line

__all__ = [
    "PARTS",
    "SPLIT",
    "Part",
    "find_parts",
    "part_of_name",
    "stated_part",
    "tell_unread_parts",
]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
#: Column of the parts in a table.
SPLIT = "split"
#: Names that people give to the parts.
_MEANT: dict[str, Part] = {
    **{part: part for part in PARTS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
    "eval": "test",
}


def part_of_name(name: str) -> Part | None:
    """Return the part that a name stands for, such as ``val``; ``None`` if it is none."""
    return _MEANT.get(name.strip().lower())


def stated_part(line: Line) -> Part | None:
    """Return the part that a line of a table states; ``None`` if it states none.

    Raises
    ------
    TaskError
        If it states something else.
    """
    name = line.values.get(SPLIT, "")
    part = part_of_name(name)
    if name and part is None:
        raise TaskError(
            f"{line.where}: {SPLIT} should be one of {', '.join(PARTS)}, found "
            f"{tell_names([name])}: correct it"
        )
    return part


def tell_unread_parts(file: Path, lines: Sequence[Line], read: Collection[str]) -> None:
    """Warn of columns that seem to state parts and are not read, if the table has no ``split``.

    Parameters
    ----------
    read
        Columns that are read.
    """
    if any(SPLIT in line.values for line in lines):
        return
    for name in sorted(lines[0].values.keys() - set(read)):
        stated = {line.values.get(name, "") for line in lines}
        meant = {part_of_name(each) for each in stated}
        if None not in meant and len(meant) > 1:
            warnings.warn(
                f"{make_printable(str(file))}: the column {tell_names([name])} has "
                f"{tell_names(sorted(stated))}, and is not read: rename it to {SPLIT} if it says "
                "which images are for training and which for the test",
                DplWarning,
                stacklevel=3,
            )


def find_parts(path: Path) -> dict[Part, Path]:
    """Return the folders of a folder that are named like parts, in the order of the parts.

    One such folder among others that holds pictures and no folder, as the others do, is a class:
    ``train/`` beside ``bus/`` and ``tram/``. It is not returned.

    Raises
    ------
    TaskError
        If two are of the same part, or the folder cannot be read.
    """
    found: dict[Part, list[Path]] = {part: [] for part in PARTS}
    try:
        folders = [each for each in sorted(path.iterdir()) if each.is_dir()]
        for each in folders:
            part = part_of_name(each.name)
            if part is not None:
                found[part].append(each)
        if _have_a_class(folders):
            return {}
    except OSError as error:
        raise TaskError(
            f"cannot read the folder {make_printable(str(path))}: {error.strerror}"
        ) from error
    for part, folders in found.items():
        if len(folders) > 1:
            raise TaskError(
                f"{make_printable(str(path))} should hold one folder for {part}, found "
                f"{tell_names(each.name for each in folders)}: join or remove them"
            )
    return {part: folders[0] for part, folders in found.items() if folders}


def _have_a_class(folders: Sequence[Path]) -> bool:
    """Whether the only folder that is named like a part is a class, as the others are."""
    named = [each for each in folders if part_of_name(each.name) is not None]
    others = [each for each in folders if each not in named and not each.name.startswith(".")]
    return len(named) == 1 and bool(others) and all(map(_holds_pictures_alone, [*named, *others]))


def _holds_pictures_alone(folder: Path) -> bool:
    entries = list_entries(str(folder))
    return not any(map(is_folder, entries)) and any(
        is_picture(entry.path, regular=is_file(entry)) for entry in entries
    )
