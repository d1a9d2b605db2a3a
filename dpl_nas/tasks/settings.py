"""The settings of a user's own images: ``task.yml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from dpl_nas.config import Augmentation
from dpl_nas.errors import TaskError
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.text import make_printable
from dpl_nas.io.validation import Frozen, Number, validate
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import check_text, look_alikes, spaced, tell_names
from dpl_nas.tasks.pictures import colour
from dpl_nas.tasks.templates import DEFAULT_TEMPLATE, check_template

__all__ = [
    "SETTINGS",
    "ColumnsFile",
    "ManifestFile",
    "SplitFile",
    "TaskFile",
    "name_classes",
    "read_settings",
    "read_settings_beside",
]

#: Names of the file of settings in a folder.
SETTINGS = ("task.yml", "task.yaml")


def _named(names: Any) -> Any:
    if isinstance(names, dict):
        for folder, name in names.items():
            for each in (folder, name):
                if not isinstance(each, str):
                    raise ValueError(
                        f"expected text, but YAML reads {abbreviate(each)} as something else: put "
                        "it in quotes"
                    )
    return names


def _listed(texts: Any) -> Any:
    if not isinstance(texts, (list, tuple)):
        raise ValueError("expected a list of texts, such as ['a photo of a {}.']")
    return texts


def _coloured(name: str) -> str:
    colour(name)
    return name


class TaskFile(Frozen):
    """The optional ``task.yml`` (or ``task.yaml``) of images whose test set is known.

    Attributes
    ----------
    class_names
        Name by folder or label, for those that do not read well.
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
    templates: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    augmentation: Augmentation = "crop_flip"
    background: Annotated[str, AfterValidator(_coloured)] = "white"


class SplitFile(TaskFile):
    """The same of images that may have no test set.

    Attributes
    ----------
    test
        Share of the images of each class that are kept for the test.
    split_seed
        Seed that decides which.
    """

    test: Annotated[Number | None, Field(gt=0, lt=1)] = None
    split_seed: Annotated[int, Field(ge=0, strict=True)] = 1


class ColumnsFile(SplitFile):
    """The same of a table.

    Attributes
    ----------
    label
        Column of the labels.
    image
        Column of the images, or of their paths.
    """

    label: str | None = None
    image: str | None = None


class ManifestFile(ColumnsFile):
    """The same of a list of files.

    Attributes
    ----------
    images
        Folder that its paths are below; by default that of the list.
    """

    images: str | None = None


Settings = TypeVar("Settings", bound=TaskFile)


def read_settings(path: Path, kind: type[Settings]) -> tuple[Settings, str]:
    """Return the settings in ``task.yml`` of a folder, and what to call that file, there or not.

    Raises
    ------
    TaskError
        If the file is not valid, or there are several.
    """
    try:
        # Some file systems do not tell Task.YML from task.yml.
        found = sorted(each.name for each in path.iterdir() if each.name.lower() in SETTINGS)
    except OSError as error:
        raise TaskError(
            f"cannot read the folder {make_printable(str(path))}: {error.strerror}"
        ) from error
    if len(found) > 1:
        raise TaskError(f"{make_printable(str(path))} holds both {' and '.join(found)}: remove one")
    file = path / (found[0] if found else SETTINGS[0])
    source = make_printable(str(file))
    if not found:
        return kind(), source
    if file.name not in SETTINGS:
        raise TaskError(f"{source} is not read under this name: rename it to {file.name.lower()}")
    if not file.is_file():
        raise TaskError(f"{source} is neither a file nor a link to one: replace or remove it")
    return _read(file, kind, source), source


def read_settings_beside(path: Path, kind: type[Settings]) -> tuple[Settings, str]:
    """Return the settings in ``NAME.yml`` beside the file ``NAME.csv``, and what to call them.

    Raises
    ------
    TaskError
        If the file is not valid, or there are several.
    """
    files = [path.with_suffix(suffix) for suffix in (".yml", ".yaml")]
    found = [file for file in files if file.exists()]
    shown = [make_printable(str(file)) for file in files]
    if len(found) > 1:
        raise TaskError(f"there are both {shown[0]} and {shown[1]}: remove one")
    if not found:
        return kind(), shown[0]
    source = shown[files.index(found[0])]
    return _read(found[0], kind, source), source


def _read(file: Path, kind: type[Settings], source: str) -> Settings:
    settings = validate(kind, read_yaml(file, "task", TaskError), source, TaskError)
    for template in (settings.template, *settings.templates):
        check_template(template, source)
    return settings


def name_classes(settings: TaskFile, source: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each class by its label, which may be that of a folder.

    Raises
    ------
    TaskError
        If the settings name labels that do not exist, or a name is empty, no text or there twice.
    """
    given = settings.class_names
    unknown = sorted(set(given) - set(labels))
    if unknown:
        raise TaskError(
            f"{source}: class_names should have folders or labels of the task, found "
            f"{tell_names(unknown)}: correct it"
        )
    names = tuple(given.get(label, spaced(label)) for label in labels)
    for label, name in zip(labels, names, strict=True):
        check_text(name, f"{source}: the name of the class {make_printable(label)}")
        if not any(each.isprintable() and not each.isspace() for each in name):
            raise TaskError(
                f"the class {tell_names([label])} has an empty name: give it one in class_names of "
                f"{source}"
            )
    twice = look_alikes(names)
    if twice:
        raise TaskError(
            f"two classes have the same name {tell_names(twice)}: give them names that differ in "
            f"class_names of {source}"
        )
    return names
