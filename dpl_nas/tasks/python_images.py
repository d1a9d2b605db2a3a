"""A task from Python: datasets of torchvision, or any sequences of (image, label)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpl_nas.config import Augmentation
from dpl_nas.errors import TaskError, shorten
from dpl_nas.io.arguments import checked
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import check_class_name, check_text, look_alikes, spaced, tell_names
from dpl_nas.tasks.pictures import Encoded, check_picture, colour, read_picture, show_picture
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.templates import DEFAULT_TEMPLATE, check_template, imagenet_templates

__all__ = ["PythonImages", "labels_of", "make_task", "unread"]

#: Where datasets of torchvision keep their labels.
_LABELS = ("targets", "_labels", "labels")
#: Channels of a picture: grey, colour, and colour with transparency.
_CHANNELS = (1, 3, 4)


@checked(TaskError)
def make_task(
    train: Any,
    test: Any,
    *,
    class_names: Sequence[str] | None = None,
    validation: Any = None,
    name: str = "own images",
    template: str = DEFAULT_TEMPLATE,
    templates: Sequence[str] = (),
    augmentation: Augmentation = "crop_flip",
    background: str = "white",
) -> Task:
    """Make a task of datasets of torchvision, or of any sequences of (image, label).

    An image is one of Pillow's, the path of a file, its content, an array (height, width) or
    (height, width, channels) of uint8, or a tensor (channels, height, width) of uint8. Floats go
    from 0 to 1. A label is a whole number or a name. Give datasets without transforms.

    Files of torchvision's ``ImageFolder``, and of subsets of it, are read as all files are. What
    other datasets have decoded is taken as it is.

    Parameters
    ----------
    train, test, validation
        Images to draw shots from, to test on, and to draw ``extra`` validation images from.
    class_names
        Name by label; by default ``train.classes`` or, where labels are names, these, sorted.
    name
        What to call the task.
    template, templates, augmentation, background
        As in ``task.yml``.

    Raises
    ------
    TaskError
        If something is no sequence of pairs, or labels and names do not belong together.
    """
    # It is kept beside what is learned.
    check_text(name, "the name of the task")
    for each in (template, *templates):
        check_template(each, name)
    try:
        colour(background)
    except ValueError as error:
        raise TaskError(f"background: {error}, found {abbreviate(background)}") from None
    parts = {"train": train, "test": test, "validation": validation}
    if validation is None:
        del parts["validation"]
    labels = {part: _labels(items, part) for part, items in parts.items()}
    names = _names(class_names, train, labels)
    for each in names:
        check_class_name(spaced(each), name)
    numbers = {each: number for number, each in enumerate(names)}
    sets = {
        part: PythonImages(
            unread(parts[part]),
            [_number(label, numbers, part) for label in found],
            f"{name}, {part}",
            background,
        )
        for part, found in labels.items()
    }
    return Task(
        name=name,
        class_names=tuple(map(spaced, names)),
        template=template,
        templates=tuple(templates) or imagenet_templates(),
        train=sets["train"],
        test=sets["test"],
        validation=sets.get("validation"),
        augmentation=augmentation,
        own_labels=tuple(names),
        background=background,
    )


class _Paths:
    """The images of a folder of torchvision's as pairs of path and label.

    Its loader drops what is transparent, and turns no photograph as EXIF says.
    """

    def __init__(self, folder: Any) -> None:
        self._folder = folder

    def __len__(self) -> int:
        return len(self._folder)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        path, label = self._folder.samples[index]
        change = self._folder.target_transform
        return path, label if change is None else change(label)


def unread(items: Any) -> Any:
    """Return ``items`` with paths for images, if they only read files by torchvision's loader."""
    # Not of these kinds if nobody has imported them.
    data, folders = map(sys.modules.get, ("torch.utils.data", "torchvision.datasets.folder"))
    # Somebody's own kind may return something else.
    fetch = getattr(type(items), "__getitem__", None)
    if data is not None and fetch is data.Subset.__getitem__:
        return data.Subset(unread(items.dataset), items.indices)
    if data is not None and fetch is data.ConcatDataset.__getitem__:
        return data.ConcatDataset([unread(each) for each in items.datasets])
    if folders is not None and fetch is folders.DatasetFolder.__getitem__:
        plain = items.loader is folders.default_loader and items.transform is None
        return _Paths(items) if plain else items
    return items


def labels_of(items: Any, name: str) -> list[int | str]:
    """Return the label of each pair of a dataset: names, where it has some for its numbers.

    Parameters
    ----------
    name
        What to call the dataset.

    Raises
    ------
    TaskError
        If a label is neither a whole number nor a name.
    """
    labels = _labels(items, name)
    while hasattr(items, "dataset") and hasattr(items, "indices"):
        items = items.dataset
    classes = getattr(items, "classes", None)
    # Numbers that somebody has changed need not be those of the names.
    if not isinstance(classes, (list, tuple)) or getattr(items, "target_transform", None):
        return labels
    known = all(isinstance(label, int) and 0 <= label < len(classes) for label in labels)
    names = [classes[int(label)] for label in labels] if known else []
    return names if known and all(isinstance(each, str) for each in names) else labels


class PythonImages:
    """The images of a sequence of (image, label).

    Parameters
    ----------
    items
        Sequence of the pairs.
    labels
        Class index of each.
    name
        What to call the sequence.
    background
        Background colour where an image is transparent.
    """

    def __init__(self, items: Any, labels: Sequence[int], name: str, background: str) -> None:
        self._items = items
        self._labels = labels
        self._name = name
        self._background = background

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image."""
        return self._labels

    def image(self, index: int) -> Image.Image:
        """The RGB image at ``index``.

        Raises
        ------
        TaskError
            If it is no image.
        """
        name = f"{self._name}, image {index}"
        value, _ = _item(self._items, index, self._name)
        source = _source(value, name)
        if source is not None:
            return read_picture(source, self._background)
        picture = value if isinstance(value, Image.Image) else _picture(value, name)
        return show_picture(name, picture, self._background)

    def check(self, index: int) -> bool:
        """Return whether an image's file holds more frames or pages than the one that is read.

        Raises
        ------
        TaskError
            If it is no image, or a damaged one.
        """
        value, label = _item(self._items, index, self._name)
        self._check_label(label, index)
        source = _source(value, f"{self._name}, image {index}")
        if source is not None:
            return check_picture(source)
        self.image(index)
        return False

    def _check_label(self, label: Any, index: int) -> None:
        """Raise an error if an item has another number than the dataset says of it."""
        found = _label(label, self._name)
        if isinstance(found, int) and found != self._labels[index]:
            raise TaskError(
                f"{self._name}, image {index} has the label {found}, but the dataset's own list of "
                f"labels says {self._labels[index]}: correct the dataset"
            )


def _source(value: Any, name: str) -> str | Encoded | None:
    """The file that a value stands for, if it does."""
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(value)
    return Encoded(name, value) if isinstance(value, bytes) else None


def _picture(value: Any, name: str) -> Image.Image:
    pixels = _array(value, name)
    found = pixels.dtype
    if pixels.dtype.kind == "f" and pixels.size:
        low, high = float(pixels.min()), float(pixels.max())
        # Written so that it fails where they are no numbers.
        if not (low >= 0 and high <= 1):
            raise TaskError(
                f"{name} has floats from {low:.4g} to {high:.4g}, of which 0 to 1 would be black "
                "to white: give it without transforms"
            )
        pixels = np.rint(pixels * 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    known = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] in _CHANNELS)
    if pixels.dtype != np.uint8 or not known or not pixels.size:
        raise TaskError(
            f"{name} should have 1, 3 or 4 channels of uint8 or of floats, found {found} of shape "
            f"{tuple(value.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _array(value: Any, name: str) -> NDArray[Any]:
    """Pixels (height, width) or (height, width, channels)."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        pixels: NDArray[Any] = value.detach().cpu().numpy()
        return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels
    if isinstance(value, np.ndarray):
        return value
    raise TaskError(
        f"{name} should be an image of Pillow's, a path, an array or a tensor, found "
        f"{type(value).__name__}"
    )


def _item(items: Any, index: int, name: str) -> tuple[Any, Any]:
    try:
        item = items[index]
        return item[0], item[1]
    except Exception as error:
        # Whatever somebody's dataset raises.
        reason = shorten(" ".join(str(error).split())) or type(error).__name__
        raise TaskError(
            f"{name}: item {index} should be a pair of image and label, and asking for it fails "
            f"({make_printable(reason)}): repair or remove it"
        ) from error


def _labels(items: Any, part: str) -> list[int | str]:
    try:
        count = len(items)
    except TypeError:
        raise TaskError(
            f"{part} should be a sequence of (image, label), found {type(items).__name__}"
        ) from None
    base, indices = getattr(items, "dataset", None), getattr(items, "indices", None)
    if base is not None and indices is not None:
        # torch.utils.data.Subset.
        every = _labels(base, part)
        return [every[int(index)] for index in indices]
    found = None
    if getattr(items, "target_transform", None) is None:
        kept = (getattr(items, name, None) for name in _LABELS)
        found = next((each for each in kept if _is_of(each, count)), None)
    labels = found if found is not None else [_item(items, row, part)[1] for row in range(count)]
    return [_label(label, part) for label in labels]


def _is_of(labels: Any, count: int) -> bool:
    listed = hasattr(labels, "__len__") and not isinstance(labels, (str, dict))
    return listed and len(labels) == count


def _label(label: Any, part: str) -> int | str:
    if hasattr(label, "item") and getattr(label, "ndim", 1) == 0:
        label = label.item()
    if isinstance(label, str) or type(label) is int:
        return label
    raise TaskError(
        f"{part}: a label should be a whole number or a name, found {abbreviate(label)}"
    )


def _names(
    given: Sequence[str] | None, train: Any, labels: dict[str, list[int | str]]
) -> tuple[str, ...]:
    every = {label for found in labels.values() for label in found}
    texts = sorted(label for label in every if isinstance(label, str))
    if texts and len(texts) < len(every):
        raise TaskError("labels should be all whole numbers or all names, found both")
    classes = given if given is not None else texts or getattr(train, "classes", None)
    if classes is None:
        raise TaskError("name the classes with class_names, in the order of the labels")
    names = tuple(classes)
    if len(names) < 2 or not all(isinstance(each, str) for each in names):
        raise TaskError(f"class_names should be two names or more, found {abbreviate(names)}")
    twice = look_alikes([spaced(each) for each in names])
    if twice:
        raise TaskError(
            f"class_names should be different, found the same name twice, {tell_names(twice)}: "
            "change one"
        )
    return names


def _number(label: int | str, numbers: dict[str, int], part: str) -> int:
    if isinstance(label, str):
        if label in numbers:
            return numbers[label]
    elif 0 <= label < len(numbers):
        return label
    raise TaskError(
        f"{part}: a label should be one of {len(numbers)} classes, {tell_names(numbers)}, found "
        f"{abbreviate(label)}"
    )
