"""A list of image files: CSV, TSV or a JSON object a line, with ``path``, ``label``, ``split``."""

from __future__ import annotations

import os
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_class_name, check_place, spaced
from dpl_nas.tasks.parts import SPLIT, stated_part
from dpl_nas.tasks.rows import Row, file_task
from dpl_nas.tasks.settings import ManifestFile, read_settings_beside
from dpl_nas.tasks.tables import Line, read_table
from dpl_nas.tasks.task import Task

__all__ = ["load_manifest"]


def load_manifest(path: Path) -> Task:
    """Load the task that a list names.

    Paths are below the folder of the list, or below ``images`` of its settings, which are in the
    file of the same name that ends with ``.yml``. Without ``split``, a share of the images of each
    class is kept for the test.

    Raises
    ------
    TaskError
        If a line is damaged, lacks a path or a label, or leads elsewhere.
    """
    settings, source = read_settings_beside(path, ManifestFile)
    root = path.parent if settings.images is None else path.parent / settings.images
    if not root.is_dir():
        raise TaskError(
            f"{source}: images should be the path of a folder, and there is no "
            f"{make_printable(str(root))}: correct it"
        )
    lines = read_table(path, ("path", "label"), (SPLIT,))
    rows = [_row(line, str(root)) for line in lines]
    return file_task(path, str(root), rows, settings, source)


def _row(line: Line, root: str) -> Row:
    place, label = line.values["path"], line.values["label"]
    if place.startswith("/"):
        # One's own files may be listed from anywhere, as long as they are where they belong.
        place = place.removeprefix(f"{os.path.abspath(root)}/")  # noqa: PTH100 - keeps links
    check_place(place, line.where)
    check_class_name(spaced(label), line.where)
    return Row(os.path.normpath(place), label, stated_part(line))
