"""Reading of class folders: each image once; other files are counted."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_text, tell_names
from dpl_nas.tasks.pictures import is_picture

__all__ = ["ClassFolders", "is_file", "is_folder", "list_entries", "read_class_folders"]


@dataclass
class ClassFolders:
    """The pictures of one part of a task.

    Attributes
    ----------
    names
        Names of the folders, sorted: one per class.
    samples
        Path and class index of each picture, in torchvision's order.
    others
        Files that are not pictures.
    stray
        Pictures that are in no class folder.
    again
        Paths to pictures that are already counted.
    merged
        Folders inside a class folder, by its name, where its pictures are in several folders.
    """

    names: list[str]
    samples: list[tuple[str, int]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    merged: dict[str, list[str]] = field(default_factory=dict)


def read_class_folders(root: Path) -> ClassFolders:
    """Return all pictures below ``root``, where every folder is a class with all folders in it.

    Links are followed, and nothing is counted twice. Names with a leading dot are skipped.

    Raises
    ------
    TaskError
        If a folder cannot be read, has a name that is no text, or holds no picture; if a picture
        is in two classes; if something with the name of a picture is not a file.
    """
    entries = list_entries(str(root))
    found = ClassFolders([entry.name for entry in entries if is_folder(entry)])
    for name in found.names:
        check_text(name, f"the name of a folder in {make_printable(str(root))}")
    for entry in entries:
        if not is_folder(entry):
            stray = is_file(entry) and is_picture(entry.path, regular=True)
            (found.stray if stray else found.others).append(entry.path)
    owners: dict[str, int] = {}
    for label in range(len(found.names)):
        _read_class(str(root), label, found, owners)
    labels = {label for _, label in found.samples}
    empty = [name for label, name in enumerate(found.names) if label not in labels]
    if empty:
        raise TaskError(
            f"{make_printable(str(root))} has no picture in {tell_names(empty)}: add some, or "
            "remove the folder"
        )
    return found


def _read_class(root: str, label: int, found: ClassFolders, owners: dict[str, int]) -> None:
    place = str(Path(root) / found.names[label])
    waiting = [(place, os.path.realpath(place))]
    seen: set[str] = set()
    listed: list[tuple[str, str, list[os.DirEntry[str]]]] = []
    while waiting:
        folder, real = waiting.pop(0)
        if real in seen:
            found.again.append(folder)
            continue
        seen.add(real)
        entries = list_entries(folder)
        waiting += [(entry.path, _real(real, entry)) for entry in entries if is_folder(entry)]
        listed.append((folder, real, [entry for entry in entries if not is_folder(entry)]))
    inside: dict[str, None] = {}
    # As torchvision sorts them: the draw of shots depends on it.
    for folder, real, entries in sorted(listed, key=lambda each: each[0]):
        for entry in entries:
            if not is_picture(entry.path, regular=is_file(entry)):
                found.others.append(entry.path)
                continue
            file = _real(real, entry)
            owner = owners.get(file)
            if owner == label:
                found.again.append(entry.path)
            elif owner is not None:
                raise TaskError(
                    f"{make_printable(entry.path)} is also in the class "
                    f"{tell_names([found.names[owner]])}: leave it in one class"
                )
            else:
                owners[file] = label
                found.samples.append((entry.path, label))
                inside[folder] = None
    if len(inside) > 1:
        inner = [os.path.relpath(folder, place) for folder in inside if folder != place]
        found.merged[found.names[label]] = inner


def _real(folder: str, entry: os.DirEntry[str]) -> str:
    """Return the resolved path of an entry of the resolved ``folder``."""
    return os.path.realpath(entry.path) if entry.is_symlink() else f"{folder}{os.sep}{entry.name}"


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads nowhere, or to itself.
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a regular file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def list_entries(folder: str) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name, without hidden ones.

    Raises
    ------
    TaskError
        If it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError as error:
        raise TaskError(
            f"cannot read the folder {make_printable(folder)}: {error.strerror}"
        ) from error
