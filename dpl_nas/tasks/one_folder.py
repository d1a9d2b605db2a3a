"""A folder a class and nothing else: a share of the images is kept for the test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import read_class_folders
from dpl_nas.tasks.folder_notes import tell_folders
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.parts import part_of_name
from dpl_nas.tasks.rows import TEST_SHARE, Row, file_task
from dpl_nas.tasks.settings import SETTINGS, SplitFile, read_settings
from dpl_nas.tasks.task import Task

__all__ = ["load_one_folder"]


def load_one_folder(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load the task in a folder that holds ``<class>/*``.

    Raises
    ------
    TaskError
        If it holds no two folders of images, or ``task.yml`` is not valid.
    """
    settings, source = read_settings(path, SplitFile)
    found = read_class_folders(path)
    if len(found.names) < 2:
        raise TaskError(
            f"{make_printable(str(path))} should hold a folder for each of two classes or more, or "
            f"train/ and test/ with these folders, found {tell_names(found.names) or 'none'}: add "
            "them"
        )
    _tell_classes_like_parts(path, found.names)
    root = str(path)
    start = f"{root}{os.sep}"
    tell_folders(path, [found], SETTINGS)
    rows = [Row(image.removeprefix(start), found.names[label]) for image, label in found.samples]
    # In torchvision's order, as in the layout with train/ and test/.
    task = file_task(path, root, rows, settings, source, found.names, test_share)
    return replace(task, folders=(task.folder,))


def _tell_classes_like_parts(path: Path, names: Sequence[str]) -> None:
    if like := [name for name in names if part_of_name(name) is not None]:
        warnings.warn(
            f"{make_printable(str(path))}: {tell_names(like)} is a class here, as the folders "
            "beside it are: if it holds pictures of all classes, put a folder for each class into "
            "it and remove the others",
            DplWarning,
            stacklevel=4,
        )
