"""A user's own images: ``train/`` and ``test/``, a folder a class (torchvision's layout)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from dpl_nas.config import Augmentation
from dpl_nas.errors import TaskError
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.validation import Frozen, validated
from dpl_nas.tasks.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FolderImages", "TaskFile", "load_folder"]

DEFAULT_TEMPLATE = "a photo of a {}."


class TaskFile(Frozen):
    """The optional ``task.yml`` of a folder of images.

    Attributes
    ----------
    class_names
        Name by folder, for the folders whose own name does not read well.
    template
        A caption with ``{}`` for the class name.
    templates
        The ensemble that a zero-shot teacher averages over.
    augmentation
        What training does to the images: ``none``, ``crop`` or ``crop_flip``.
    """

    class_names: dict[str, str] = Field(default_factory=dict)
    template: str = DEFAULT_TEMPLATE
    templates: tuple[str, ...] = ()
    augmentation: Augmentation = "crop_flip"


class FolderImages:
    """Images on disk, opened when asked for."""

    def __init__(self, samples: Sequence[tuple[str, int]]) -> None:
        self._paths = [path for path, _ in samples]
        self._labels = [label for _, label in samples]

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image."""
        return self._labels

    def image(self, index: int) -> Image:
        """The RGB image at ``index``.

        Raises
        ------
        TaskError
            If the file is not a readable image.
        """
        from PIL import Image as Pillow

        try:
            with Pillow.open(self._paths[index]) as image:
                return image.convert("RGB")
        except Exception as error:
            # Pillow's readers raise errors of many kinds, also for images of absurd sizes.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise TaskError(
                f"{self._paths[index]} is not a readable image ({reason:.200}): repair or remove it"
            ) from error


def load_folder(path: Path) -> Task:
    """The task in a folder that holds ``train/<class>/*`` and ``test/<class>/*``.

    Underscores in folder names become spaces; an optional ``task.yml`` (:class:`TaskFile`)
    gives better names, the template and the augmentation.

    Raises
    ------
    TaskError
        If the layout is not as described, the two parts have different classes, or
        ``task.yml`` is not valid.
    """
    settings = TaskFile()
    file = path / "task.yml"
    if file.exists():
        settings = validated(TaskFile, read_yaml(file, "task", TaskError), str(file), TaskError)
    for template in (settings.template, *settings.templates):
        if template.count("{}") != 1:
            raise TaskError(f"{file}: a template needs one {{}} for the name, found '{template}'")
    parts = {part: _samples(path, part) for part in ("train", "test")}
    (train, folders), (test, test_folders) = parts["train"], parts["test"]
    if folders != test_folders:
        odd = sorted(set(folders) ^ set(test_folders))
        raise TaskError(f"{path}: train/ and test/ must have the same classes; only one has {odd}")
    unknown = sorted(set(settings.class_names) - set(folders))
    if unknown:
        raise TaskError(f"{file}: class_names names folders that do not exist: {unknown}")
    names = tuple(settings.class_names.get(name, name.replace("_", " ")) for name in folders)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TaskError(f"{path}: two folders have the same class name {twice}: rename one")
    return Task(
        name=str(path),
        class_names=names,
        template=settings.template,
        templates=settings.templates or _imagenet_templates(),
        train=FolderImages(train),
        test=FolderImages(test),
        augmentation=settings.augmentation,
    )


def _samples(path: Path, part: str) -> tuple[list[tuple[str, int]], list[str]]:
    from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

    root = path / part
    if not root.is_dir():
        raise TaskError(
            f"{path} must hold train/ and test/ with a folder a class: there is no {part}/"
        )
    try:
        folders, index = find_classes(str(root))
        samples = make_dataset(str(root), index, extensions=IMG_EXTENSIONS)
    except FileNotFoundError as error:
        # torchvision says which folder is missing or empty, over two lines.
        raise TaskError(f"{root}: {' '.join(str(error).split())}") from None
    if len(folders) < 2:
        raise TaskError(f"{root} must hold at least two classes, found {folders}")
    return samples, folders


def _imagenet_templates() -> tuple[str, ...]:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
