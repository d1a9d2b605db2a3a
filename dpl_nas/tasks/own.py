"""A user's own images: which of the layouts a path has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.folder import load_folder
from dpl_nas.tasks.hub_dataset import TableImages, is_hub_dataset, load_hub_dataset
from dpl_nas.tasks.hub_folder import find_metadata, load_hub_folder
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.manifest import load_manifest
from dpl_nas.tasks.one_folder import load_one_folder
from dpl_nas.tasks.parts import find_parts
from dpl_nas.tasks.rows import TEST_SHARE
from dpl_nas.tasks.tables import SUFFIXES
from dpl_nas.tasks.task import ImageSet, Task
from dpl_nas.tasks.text_sources import (
    is_text_folder,
    is_text_table,
    load_text_folder,
    load_text_table,
)

__all__ = ["load_own", "on_background"]


def load_own(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load the task at ``path``: a list of images, or a folder in one of the layouts.

    Parameters
    ----------
    test_share
        Share of the images of each class to keep for the test if the path has no test set and does
        not say; 0 for none.

    Raises
    ------
    TaskError
        If it has none of the layouts, or is not as its own layout says.
    """
    if not path.is_dir():
        if path.suffix.lower() in SUFFIXES:
            if is_text_table(path):
                return load_text_table(path, test_share)
            return load_manifest(path, test_share)
        raise TaskError(
            f"expected a folder of images, or a list that ends with {', '.join(SUFFIXES)}, found "
            f"the file {make_printable(str(path))}: give another path"
        )
    parts = find_parts(path)
    if is_hub_dataset(path):
        return load_hub_dataset(path, test_share)
    if find_metadata(path):
        return load_hub_folder(path, test_share)
    if is_text_folder(path):
        return load_text_folder(path, test_share)
    if "train" in parts or "test" in parts:
        return load_folder(path)
    return load_one_folder(path, test_share)


def on_background(task: Task, background: str) -> Task:
    """Return a task of files whose transparent pictures are on a colour, whatever it says."""

    def changed(images: ImageSet) -> ImageSet:
        return images.on(background) if isinstance(images, (ImageFiles, TableImages)) else images

    return replace(
        task,
        train=changed(task.train),
        test=changed(task.test),
        validation=None if task.validation is None else changed(task.validation),
        background=background,
    )
