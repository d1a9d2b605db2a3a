"""A user's own images: ``train/`` and ``test/``, a folder a class (torchvision's layout)."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from dpl_nas.config import Augmentation
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.text import make_printable
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.class_folders import ClassFolders, read_class_folders
from dpl_nas.tasks.image_files import ImageFiles
from dpl_nas.tasks.names import check_text, spaced, tell_names
from dpl_nas.tasks.pictures import colour
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.templates import DEFAULT_TEMPLATE, check_template, imagenet_templates

__all__ = ["TaskFile", "load_folder"]

_SETTINGS = ("task.yml", "task.yaml")


def _named(names: Any) -> Any:
    if isinstance(names, dict):
        for folder, name in names.items():
            for each in (folder, name):
                if not isinstance(each, str):
                    raise ValueError(
                        f"expected texts, but to YAML {abbreviate(each)} is none: put it in quotes"
                    )
    return names


def _coloured(name: str) -> str:
    colour(name)
    return name


class TaskFile(Frozen):
    """The optional ``task.yml`` (or ``task.yaml``) of a folder of images.

    Attributes
    ----------
    class_names
        Name by folder, for the folders whose own name does not read well.
    template
        A caption with ``{}`` for the class name.
    templates
        The ensemble that a zero-shot teacher averages over.
    augmentation
        Augmentation in training: ``none``, ``crop`` or ``crop_flip``.
    background
        Background colour of images that are partly transparent.
    """

    class_names: Annotated[dict[str, str], BeforeValidator(_named)] = Field(default_factory=dict)
    template: str = DEFAULT_TEMPLATE
    templates: tuple[str, ...] = ()
    augmentation: Augmentation = "crop_flip"
    background: Annotated[str, AfterValidator(_coloured)] = "white"


def load_folder(path: Path) -> Task:
    """Load the task in a folder that holds ``train/<class>/*`` and ``test/<class>/*``.

    Underscores in folder names become spaces; an optional ``task.yml`` (:class:`TaskFile`)
    gives better names, the template and the augmentation. Whatever is no image, or is there
    twice, is warned of.

    Raises
    ------
    TaskError
        If the layout is not as described, the two parts have different classes, or
        ``task.yml`` is not valid.
    """
    place = str(path.absolute())
    # It is kept beside what is learned.
    check_text(place, "the path of the task")
    settings, source = _settings(path)
    for template in (settings.template, *settings.templates):
        check_template(template, source)
    train, test = _part(path, "train"), _part(path, "test")
    if train.names != test.names:
        odd = sorted(set(train.names) ^ set(test.names))
        hint = ""
        if _composed(train.names) == _composed(test.names):
            hint = ", as the other writes it in another Unicode form: rename one"
        raise TaskError(
            f"{path}: train/ and test/ must have the same classes; only one has "
            f"{tell_names(odd)}{hint}"
        )
    _tell(path, train, test)
    return Task(
        name=str(path),
        class_names=_class_names(path, source, train.names, settings.class_names),
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


def _settings(path: Path) -> tuple[TaskFile, str]:
    """Return the settings in ``task.yml``, and the path of that file, present or not."""
    try:
        # Other people's computers do not tell Task.YML from task.yml.
        found = sorted(each.name for each in path.iterdir() if each.name.lower() in _SETTINGS)
    except OSError as error:
        raise TaskError(f"cannot read the folder {path}: {error.strerror}") from error
    if not found:
        return TaskFile(), str(path / _SETTINGS[0])
    if len(found) > 1:
        raise TaskError(f"{path} holds both {' and '.join(found)}: remove one")
    file = path / found[0]
    if file.name not in _SETTINGS:
        raise TaskError(f"{file} is not read under this name: rename it to {file.name.lower()}")
    if not file.is_file():
        raise TaskError(f"{file} is not a file, or a link to none: replace or remove it")
    settings = validate(TaskFile, read_yaml(file, "task", TaskError), str(file), TaskError)
    return settings, str(file)


def _part(path: Path, part: str) -> ClassFolders:
    root = path / part
    if not root.is_dir():
        raise TaskError(
            f"{path} must hold train/ and test/ with a folder a class: there is no {part}/"
        )
    found = read_class_folders(root)
    if len(found.names) < 2:
        raise TaskError(
            f"{root} must hold at least two classes, found {tell_names(found.names) or 'none'}"
        )
    return found


def _class_names(
    path: Path, source: str, folders: Sequence[str], given: dict[str, str]
) -> tuple[str, ...]:
    unknown = sorted(set(given) - set(folders))
    if unknown:
        raise TaskError(
            f"{source}: class_names names folders that do not exist: {tell_names(unknown)}"
        )
    names = tuple(given.get(folder, spaced(folder)) for folder in folders)
    for folder, name in zip(folders, names, strict=True):
        check_text(name, f"{source}: the name of the class {make_printable(folder)}")
        if not any(each.isprintable() and not each.isspace() for each in name):
            raise TaskError(
                f"{path}: the class in the folder {tell_names([folder])} has an empty name: give "
                f"it one in class_names of {Path(source).name}"
            )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise TaskError(
            f"{path}: two folders have the same class name {tell_names(twice)}: rename one"
        )
    return names


def _composed(names: Sequence[str]) -> set[str]:
    return {unicodedata.normalize("NFC", name) for name in names}


def _tell(path: Path, train: ClassFolders, test: ClassFolders) -> None:
    """Warn of files in the folders that do not count."""
    shared = sorted(train.files & test.files)
    for paths, what in (
        (train.others + test.others, "are no images that can be read, and left aside"),
        (train.again + test.again, "lead to images that were counted already"),
        (shared, "are in train/ and in test/, so the test is of what was trained on"),
    ):
        if paths:
            few = tell_names(os.path.relpath(each, path) for each in paths)
            warnings.warn(
                f"{make_printable(str(path))}: {len(paths)} files or links {what}: {few}",
                DplWarning,
                stacklevel=3,
            )
