"""Pictures as people hold them: files, Pillow's images, arrays, tensors, tables, datasets."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.errors import ConfigError, DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.pictures import has_picture_name
from dpl_nas.tasks.python_images import PythonImages, unread
from dpl_nas.training.prefetch import decode_ahead

__all__ = ["Pictures", "Unread", "is_dataset", "list_pictures", "path_is_folder", "pictures_of"]

#: Numbers of channels of a picture.
_CHANNELS = {1, 3, 4}
#: Kinds of arrays that hold pixels, not paths.
_NUMBERS = "biuf"
#: Columns of a table that may have the paths.
_COLUMNS = ("path", "image", "file", "file_name", "filename")


@dataclass(frozen=True)
class Unread:
    """What stands for pictures that cannot even be listed, such as a folder, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return self.path


class Pictures(Sequence[Any]):
    """Pictures in order, each read when it is asked for.

    Parameters
    ----------
    items
        Paths, Pillow's images, arrays (height, width[, channels]) of uint8 or tensors (channels,
        height, width), in any mixture; :class:`Unread` where it is known already.
    background
        Colour on which transparent ones are put.
    """

    def __init__(self, items: Sequence[Any], background: str = "white") -> None:
        self._items = items
        pairs = _Pairs(items)
        self._images = PythonImages(pairs, [0] * len(items), "pictures", background)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        """Return the picture as it was given."""
        return self._items[index]

    def read(self, index: int) -> Image.Image:
        """Return the RGB image at ``index``.

        Raises
        ------
        TaskError
            If it cannot be read; the message says why.
        """
        item = self._items[index]
        if isinstance(item, Unread):
            raise TaskError(item.reason)
        return self._images.image(index)

    def pixels(
        self, backbone: Backbone, batch_size: int
    ) -> Iterator[tuple[Tensor, list[TaskError | None]]]:
        """Yield preprocessed images (readable, 3, S, S) of each batch, and what became of each.

        The list has ``None`` for an image that was read, else the error that says why not.
        """
        size = backbone.image_size
        jobs = (partial(self._prepared, backbone, index) for index in range(len(self)))
        with closing(decode_ahead(jobs)) as prepared:
            while part := list(islice(prepared, batch_size)):
                read = [each for each in part if isinstance(each, Tensor)]
                told = [each if isinstance(each, TaskError) else None for each in part]
                batch = torch.stack(read) if read else torch.zeros(0, 3, size, size)
                yield batch.to(backbone.device), told

    def _prepared(self, backbone: Backbone, index: int) -> Tensor | TaskError:
        try:
            return backbone.preprocess(self.read(index))
        except TaskError as error:
            return error


class _Pairs:
    """The items as pairs of picture and label."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._items[index], 0

    def __len__(self) -> int:
        return len(self._items)


def pictures_of(value: Any, background: str = "white") -> Pictures:
    """Return the pictures that ``value`` holds.

    Parameters
    ----------
    value
        Sequence of pictures; array (images, height, width[, channels]) or tensor (images,
        channels, height, width); a data frame with a column of paths; a folder; a dataset of
        (image, label) pairs.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(value, Pictures):
        return value
    if isinstance(value, (str, os.PathLike)):
        path = Path(value)
        return Pictures(list_pictures(path) if path_is_folder(path) else [path], background)
    if isinstance(value, Image.Image):
        raise ConfigError("expected a list of pictures, found one: give [picture]")
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return Pictures(list(value[_column(value)]), background)
    if pandas is not None and isinstance(value, pandas.Series):
        return Pictures(list(value), background)
    if is_dataset(value):
        return Pictures(_Firsts(unread(value)), background)
    _refuse_one(value)
    if not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        raise ConfigError(
            "expected pictures: paths, images of Pillow's, arrays, tensors, a data frame, a folder "
            f"or a dataset, found {abbreviate(value)}"
        )
    return Pictures(value, background)


def _refuse_one(value: Any) -> None:
    """Raise an error for an array or a tensor that may be one picture: its rows are none."""
    known = isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS
    if not known and not isinstance(value, Tensor):
        return
    shape = tuple(value.shape)
    # With the channels at either end, and one channel or none.
    if len(shape) < 3 or (len(shape) == 3 and {shape[0], shape[-1]} & _CHANNELS):
        raise ConfigError(
            f"expected several pictures, found one of shape {shape}: give [picture]; grey pictures "
            "have the shape (images, height, width, 1)"
        )


def list_pictures(folder: Path) -> list[Path | Unread]:
    """Return all that has the name of a picture below a folder, by name.

    Links to folders are followed, each folder once. What is no file, such as a pipe or a link that
    leads nowhere, is listed, so that reading it says why not; so is a folder that cannot be read.
    Names with a leading dot are skipped. Warnings tell of what else is left out, and of a folder
    without pictures.
    """
    found: list[Path | Unread] = []
    others: list[Path] = []
    again: list[Path] = []
    seen: set[str] = set()
    waiting, links = [folder], list[Path]()
    while waiting or links:
        # Links last, so that a folder goes by its own name if it has one here.
        place = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(place)
        if real in seen:
            again.append(place)
            continue
        seen.add(real)
        try:
            with os.scandir(place) as entries:
                shown = sorted((e for e in entries if e.name[0] != "."), key=lambda e: e.name)
        except OSError as error:
            reason = f"cannot read the folder {make_printable(str(place))}: {error.strerror}"
            found.append(Unread(str(place), reason))
            continue
        for entry in shown:
            path = place / entry.name
            if path_is_folder(path):
                (links if entry.is_symlink() else waiting).append(path)
            else:
                (found if has_picture_name(entry.name) else others).append(path)
    _tell(folder, sorted(others), "files without the name of a picture are left out")
    _tell(folder, again, "links lead to folders whose pictures are there already")
    if not found:
        warnings.warn(f"{make_printable(str(folder))} holds no pictures", DplWarning, stacklevel=2)
    return sorted(found, key=lambda each: Path(str(each)))


def path_is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; it does not if nobody can tell."""
    # Unlike Path.is_dir, it answers for a name that is too long or in a closed folder, too.
    return os.path.isdir(path)  # noqa: PTH112


def _tell(folder: Path, paths: Sequence[Path], what: str) -> None:
    if paths:
        few = tell_names(str(path.relative_to(folder)) for path in paths)
        warnings.warn(
            f"{make_printable(str(folder))}: {what} ({len(paths)}): {few}", DplWarning, stacklevel=3
        )


class _Firsts(Sequence[Any]):
    """The images of a dataset of (image, label) pairs."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index][0]

    def __len__(self) -> int:
        return len(self._items)


def is_dataset(value: Any) -> bool:
    """Return whether it is a dataset of torch's."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(value, data.Dataset)


def _column(table: Any) -> Any:
    """The column of a data frame that has the paths."""
    columns = list(table.columns)
    if len(columns) == 1:
        return columns[0]
    for name in _COLUMNS:
        if name in columns:
            return name
    raise ConfigError(
        f"expected a data frame with a column {' or '.join(_COLUMNS)}, found "
        f"{', '.join(map(str, columns))}: give the column itself"
    )
