"""A user's own images: ``train/`` and ``test/``, a folder a class (torchvision's layout)."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import ClassFolders, read_class_folders
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.names import check_text, tell_names
from dpl_nas.tasks.settings import TaskFile, name_classes, read_settings
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.templates import imagenet_templates

__all__ = ["load_folder"]


def load_folder(path: Path) -> Task:
    """Load the task in a folder that holds ``train/<class>/*`` and ``test/<class>/*``.

    Underscores in folder names become spaces; an optional ``task.yml``
    (:class:`~dpl_nas.tasks.settings.TaskFile`) gives better names, the template and the
    augmentation. Warn of files that are not images, and of images that occur twice.

    Raises
    ------
    TaskError
        If the layout is not as described, the two parts have different classes, or
        ``task.yml`` is not valid.
    """
    place = str(path.absolute())
    # It is kept beside what is learned.
    check_text(place, "the path of the task")
    settings, source = read_settings(path, TaskFile)
    train, test = _part(path, "train"), _part(path, "test")
    if train.names != test.names:
        odd = sorted(set(train.names) ^ set(test.names))
        hint = ""
        if _composed(train.names) == _composed(test.names):
            hint = "; the other has the name in another Unicode form: rename one"
        raise TaskError(
            f"{make_printable(str(path))}: train/ and test/ must have the same classes; only one "
            f"of them has {tell_names(odd)}{hint or ': add or remove it'}"
        )
    _tell(path, train, test)
    return Task(
        name=str(path),
        class_names=name_classes(settings, source, train.names),
        template=settings.template,
        templates=settings.templates or imagenet_templates(),
        train=_images(path, train, settings.background),
        test=_images(path, test, settings.background),
        augmentation=settings.augmentation,
        folder=place,
        folders=(f"{place}/train", f"{place}/test"),
    )


def _images(path: Path, part: ClassFolders, background: str) -> ImageFiles:
    # Not relpath, which takes microseconds for each.
    places = [image.removeprefix(f"{path}{os.sep}") for image, _ in part.samples]
    labels = [label for _, label in part.samples]
    return ImageFiles(places, labels, root=str(path), background=background)


def _part(path: Path, part: str) -> ClassFolders:
    root = path / part
    if not root.is_dir():
        raise TaskError(
            f"{make_printable(str(path))} must hold train/ and test/ with a folder for each class, "
            f"found no {part}/: add it"
        )
    found = read_class_folders(root)
    if len(found.names) < 2:
        raise TaskError(
            f"{make_printable(str(root))} must hold a folder for each of two classes or more, "
            f"found {tell_names(found.names) or 'none'}: add them"
        )
    return found


def _composed(names: Sequence[str]) -> set[str]:
    return {unicodedata.normalize("NFC", name) for name in names}


def _tell(path: Path, train: ClassFolders, test: ClassFolders) -> None:
    """Warn of files in the folders that do not count."""
    for paths, what in (
        (train.others + test.others, "are not readable images and are left out"),
        (train.again + test.again, "lead to images that are counted already"),
    ):
        if paths:
            few = tell_names(os.path.relpath(each, path) for each in paths)
            warnings.warn(
                f"{make_printable(str(path))}: {len(paths)} files or links {what}: {few}",
                DplWarning,
                stacklevel=3,
            )
