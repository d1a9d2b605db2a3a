"""A user's own images: a folder a part, and in it a folder a class (torchvision's layout)."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import ClassFolders, read_class_folders
from dpl_nas.tasks.folder_notes import tell_folders, tell_ignored
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.names import check_text, tell_names
from dpl_nas.tasks.parts import find_parts
from dpl_nas.tasks.settings import SplitFile, name_classes, read_settings
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.templates import imagenet_templates

__all__ = ["load_folder"]

_ADVICE = {
    "train": "add it",
    "test": "add it, or give the path of the training images, to keep a share of them for the test",
}


def load_folder(path: Path) -> Task:
    """Load the task in a folder that holds ``train/<class>/*`` and ``test/<class>/*``.

    Images in ``validation/<class>/*`` are validated on. Other names of the parts, such as ``val``,
    are read as well (:func:`~dpl_nas.tasks.parts.part_of_name`). Underscores in folder names become
    spaces; an optional ``task.yml`` (:class:`~dpl_nas.tasks.settings.TaskFile`) gives better names,
    the template and the augmentation. Warn of what is there and does not count, of images that
    occur twice, and of folders inside a class folder, whose images are all of this class.

    Raises
    ------
    TaskError
        If the layout is not as described, the parts have different classes, or ``task.yml`` is
        not valid.
    """
    place = str(path.absolute())
    # It is kept beside what is learned.
    check_text(place, "the path of the task")
    settings, source = read_settings(path, SplitFile)
    places = find_parts(path)
    for part in ("train", "test"):
        if part not in places:
            raise TaskError(
                f"{make_printable(str(path))} must hold train/ and test/ with a folder for each "
                f"class, found no {part}/: {_ADVICE[part]}"
            )
    _check_share(path, places["test"].name, settings, source)
    parts = {part: _part(folder) for part, folder in places.items()}
    train, test, validation = parts["train"], parts["test"], parts.get("validation")
    for part, found in parts.items():
        _check_same(path, (places["train"].name, places[part].name), train, found)
    tell_folders(path, parts.values())
    tell_ignored(path, places.values())
    return Task(
        name=str(path),
        class_names=name_classes(settings, source, train.names),
        template=settings.template,
        templates=settings.templates or imagenet_templates(),
        train=_images(path, train, settings.background),
        test=_images(path, test, settings.background),
        augmentation=settings.augmentation,
        folder=place,
        own_labels=tuple(train.names),
        background=settings.background,
        validation=None if validation is None else _images(path, validation, settings.background),
        folders=tuple(f"{place}/{folder.name}" for folder in places.values()),
    )


def _check_share(path: Path, folder: str, settings: SplitFile, source: str) -> None:
    """Raise an error if the settings ask for a share of the images beside the test set."""
    given = sorted({"test", "split_seed"} & settings.model_fields_set)
    if given:
        raise TaskError(
            f"{make_printable(str(path))} has a test set already, {make_printable(folder)}/, so no "
            f"share of the training images is kept for that: remove {' and '.join(given)} from "
            f"{source}, or the folder"
        )


def _images(path: Path, part: ClassFolders, background: str) -> ImageFiles:
    # Not relpath, which takes microseconds for each.
    places = [image.removeprefix(f"{path}{os.sep}") for image, _ in part.samples]
    labels = [label for _, label in part.samples]
    return ImageFiles(places, labels, root=str(path), background=background)


def _part(root: Path) -> ClassFolders:
    found = read_class_folders(root)
    if len(found.names) < 2:
        raise TaskError(
            f"{make_printable(str(root))} must hold a folder for each of two classes or more, "
            f"found {tell_names(found.names) or 'none'}: add them"
        )
    return found


def _check_same(
    path: Path, folders: Sequence[str], train: ClassFolders, part: ClassFolders
) -> None:
    """Raise an error unless two parts, in the folders of these names, have the same classes."""
    if train.names == part.names:
        return
    odd = sorted({*train.names} ^ {*part.names})
    hint = ": add or remove it"
    if _composed(train.names) == _composed(part.names):
        hint = "; the other has the name in another Unicode form: rename one"
    raise TaskError(
        f"{make_printable(str(path))}: {'/ and '.join(folders)}/ must have the same classes; only "
        f"one of them has {tell_names(odd)}{hint}"
    )


def _composed(names: Sequence[str]) -> set[str]:
    return {unicodedata.normalize("NFC", name) for name in names}
