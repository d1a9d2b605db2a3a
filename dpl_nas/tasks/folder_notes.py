"""Notes on what is in the folders of a task and does not count, or counts unlike it looks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from dpl_nas.errors import DplWarning
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import ClassFolders
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.pictures import has_picture_name

__all__ = ["tell_folders", "tell_ignored"]


def tell_folders(path: Path, parts: Iterable[ClassFolders], known: Sequence[str] = ()) -> None:
    """Warn of pictures and other files that do not count, and of folders inside class folders.

    Parameters
    ----------
    path
        Folder of the task.
    parts
        What its parts hold.
    known
        Names of files that are of use, though they are no pictures.
    """
    parts = list(parts)
    others = [file for part in parts for file in part.others if Path(file).name not in known]
    stray = [file for part in parts for file in part.stray]
    again = [file for part in parts for file in part.again]
    _tell(path, others, "file or link is not a readable image and is left out",
          "files or links are not readable images and are left out")  # fmt: skip
    _tell(path, again, "file or link leads to an image that is counted already",
          "files or links lead to images that are counted already")  # fmt: skip
    _tell(path, stray, "image is in no class folder and is left out",
          "images are in no class folder and are left out",
          "; move what should count into the folder of its class")  # fmt: skip
    merged: dict[str, dict[str, None]] = {}
    for part in parts:
        for name, folders in part.merged.items():
            merged.setdefault(name, {}).update(dict.fromkeys(folders))
    for name, inner in merged.items():
        _warn(
            path,
            f"the class {tell_names([name])} has folders inside, {tell_names(inner)}, whose images "
            "are all of this one class; if each is a class, move it up, beside the others",
        )


def tell_ignored(path: Path, read: Iterable[Path]) -> None:
    """Warn of images in a folder of parts that are in none of the folders that are ``read``."""
    parts = {each.name for each in read}
    with os.scandir(path) as entries:
        beside = sorted(
            entry.name
            for entry in entries
            if entry.name not in parts and not entry.name.startswith(".")
        )
    folders = [f"{name}/" for name in beside if _holds_pictures(path / name)]
    if folders:
        what = "is no part of the task: its" if len(folders) == 1 else "are no parts: their"
        _warn(path, f"{tell_names(folders)} {what} images are left out")
    files = [name for name in beside if has_picture_name(name) and (path / name).is_file()]
    _tell(path, [str(path / name) for name in files],
          "image is beside the folders of the parts and is left out",
          "images are beside the folders of the parts and are left out")  # fmt: skip


def _holds_pictures(folder: Path) -> bool:
    return any(
        has_picture_name(name)
        for _, _, files in os.walk(folder)
        for name in files
        if not name.startswith(".")
    )


def _tell(path: Path, files: Sequence[str], one: str, several: str, advice: str = "") -> None:
    if files:
        few = tell_names(os.path.relpath(each, path) for each in files)
        _warn(path, f"{len(files)} {one if len(files) == 1 else several}: {few}{advice}")


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{make_printable(str(path))}: {text}", DplWarning, stacklevel=4)
