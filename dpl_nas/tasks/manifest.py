"""A list of image files: CSV, TSV or a JSON object a line, with ``path``, ``label``, ``split``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_class_name, check_place, spaced, tell_names
from dpl_nas.tasks.parts import SPLIT, stated_part, tell_unread_parts
from dpl_nas.tasks.rows import TEST_SHARE, Row, file_task
from dpl_nas.tasks.settings import ManifestFile, read_settings_beside
from dpl_nas.tasks.tables import Line, read_table
from dpl_nas.tasks.task import Task

__all__ = ["load_manifest"]


def load_manifest(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load the task that a list names.

    Paths are below the folder of the list, or below ``images`` of its settings, which are in the
    file of the same name that ends with ``.yml``. These may name the columns, too. Without
    ``split``, a share of the images of each class is kept for the test.

    Raises
    ------
    TaskError
        If a line is damaged, lacks a path or a label, or leads elsewhere; if no image is there.
    """
    settings, source = read_settings_beside(path, ManifestFile)
    root = path.parent if settings.images is None else path.parent / settings.images
    if not root.is_dir():
        raise TaskError(
            f"{source}: images should be the path of a folder, and there is no "
            f"{make_printable(str(root))}: correct it"
        )
    columns = (settings.image or "path", settings.label or "label")
    if len({*columns, SPLIT}) < 3:
        raise TaskError(
            f"{source}: image and label should be two columns, and none of them {SPLIT}, found "
            f"{tell_names(columns)}: correct them"
        )
    advice = f"rename columns, or name the right ones with image and label in {source}"
    lines = read_table(path, columns, (SPLIT,), advice)
    rows = [_row(line, columns, str(root)) for line in lines]
    tell_unread_parts(path, lines, columns)
    task = file_task(path, str(root), rows, settings, source, test_share=test_share)
    _check_there(path, root, rows, source)
    return task


def _check_there(path: Path, root: Path, rows: Sequence[Row], source: str) -> None:
    """Raise an error if none of the images is there: paths may begin at another folder."""
    if not any((root / row.place).exists() for row in rows):
        raise TaskError(
            f"{make_printable(str(path))} should list images below {make_printable(str(root))}, "
            f"found none of them there, such as {tell_names([rows[0].place])}: correct the paths, "
            f"or name the folder that they are below with images in {source}"
        )


def _row(line: Line, columns: Sequence[str], root: str) -> Row:
    place, label = (line.values[column] for column in columns)
    if place.startswith("/"):
        # One's own files may be listed from anywhere, as long as they are where they belong.
        place = place.removeprefix(f"{os.path.abspath(root)}/")  # noqa: PTH100 - keeps links
    check_place(place, line.where)
    check_class_name(spaced(label), line.where)
    return Row(os.path.normpath(place), label, stated_part(line))
