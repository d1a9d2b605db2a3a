"""A dataset of Hugging Face's library ``datasets`` on disk: Arrow or Parquet, no script.

The library is optional: ``pip install '.[datasets]'`` in the repository.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dpl_nas.errors import DplWarning, TaskError, shorten
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import check_class_name, spaced, tell_names
from dpl_nas.tasks.parts import part_of_name
from dpl_nas.tasks.pictures import Encoded, check_picture, content, read_picture
from dpl_nas.tasks.rows import TEST_SHARE, Row, sort_labels, task_of_rows
from dpl_nas.tasks.settings import ColumnsFile, read_settings
from dpl_nas.tasks.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["TableImages", "is_hub_dataset", "load_hub_dataset"]

_SAVED = ("dataset_dict.json", "state.json")
#: Parquet files as the Hub has them: data/train-00000-of-00001.parquet.
_SPLIT = re.compile(r"([A-Za-z]+)[-_.\w]*\.parquet")
_LABELS = ("label", "labels", "fine_label")


def is_hub_dataset(path: Path) -> bool:
    """Return whether a folder holds what ``save_to_disk`` writes, or Parquet files."""
    return any((path / name).is_file() for name in _SAVED) or bool(_parquet(path))


def load_hub_dataset(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load the task in a dataset on disk.

    Raises
    ------
    TaskError
        If the library is missing, the dataset is damaged, or it is not known which of its columns
        are images and labels.
    """
    settings, source = read_settings(path, ColumnsFile)
    shown = make_printable(str(path))
    with _library(shown):
        splits = _of_parts(_splits(path), shown)
    rows: list[Row] = []
    cells: list[_Cell] = []
    declared: dict[str, None] = {}
    for split, table in splits.items():
        with _library(shown):
            columns = _columns(table, settings, f"{shown}, {split}", source)
            pictures = _undecoded(table, columns.image)
            labels = _labels(table, columns.label, f"{shown}: image {split}")
            declared |= dict.fromkeys(_declared(table, columns.label))
        part = part_of_name(split) if len(splits) > 1 or split != "train" else None
        for row, label in enumerate(labels):
            place = f"{split}/{row}"
            rows.append(Row(place, label, part))
            cells.append(_Cell(pictures, columns.image, row, f"{shown}/{place}"))
    present = {row.label for row in rows}
    names = [name for name in declared if name in present]
    names += sort_labels(present - declared.keys())
    for name in names:
        check_class_name(spaced(name), shown)

    def images(indices: Sequence[int], numbers: Sequence[int]) -> TableImages:
        chosen = [cells[index] for index in indices]
        return TableImages(chosen, numbers, settings.background)

    return task_of_rows(path, rows, images, settings, source, names, test_share)


class TableImages:
    """Images in the cells of tables.

    Parameters
    ----------
    cells
        Where each is.
    labels
        Class index of each.
    background
        Background colour where an image is transparent.
    """

    def __init__(self, cells: Sequence[_Cell], labels: Sequence[int], background: str) -> None:
        self._cells = cells
        self._labels = labels
        self._background = background

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image."""
        return self._labels

    def on(self, background: str) -> TableImages:
        """The same images, where they are transparent on another colour."""
        return TableImages(self._cells, self._labels, background)

    def image(self, index: int) -> Image:
        """The RGB image at ``index``.

        Raises
        ------
        TaskError
            If its content is no readable image.
        """
        return read_picture(self._cells[index].read(), self._background)

    def check(self, index: int) -> bool:
        """Return whether an image holds more frames or pages than the one that is read.

        Raises
        ------
        TaskError
            If its content is no readable image, or a damaged one.
        """
        return check_picture(self._cells[index].read())

    def signature(self, index: int) -> bytes:
        """Return a signature of the content, and of the way it is read."""
        source = self._cells[index].read()
        found = content(source) if isinstance(source, str) else source.content
        return b"\0".join((self._background.encode(), hashlib.sha256(found).digest()))


@dataclass(frozen=True)
class _Cell:
    """Where an image is: its table, column and row."""

    table: Any
    column: str
    row: int
    name: str

    def read(self) -> str | Encoded:
        """The path of its file, or its content."""
        with _told(self.name):
            found = self.table[self.row][self.column]
        if isinstance(found, Mapping):
            inside, path = found.get("bytes"), found.get("path")
            if isinstance(inside, bytes):
                return Encoded(self.name, inside)
            if isinstance(path, str):
                return path
        raise TaskError(f"{self.name} is empty: remove it, or give it an image")


class _Columns(NamedTuple):
    image: str
    label: str


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise errors of the library as one sentence."""
    try:
        yield
    except (TaskError, MemoryError):
        raise
    except Exception as error:
        # The library and Arrow raise errors of many kinds.
        reason = shorten(" ".join(str(error).split())) or type(error).__name__
        raise TaskError(
            f"{what} is no readable dataset ({make_printable(reason)}): save it again"
        ) from error


@contextmanager
def _library(shown: str) -> Iterator[None]:
    """The library ``datasets``, without its progress bars."""
    try:
        import datasets

        hidden = datasets.are_progress_bars_disabled()
    except (ImportError, AttributeError) as error:
        # Others have folders of this name where Python looks.
        raise TaskError(
            f"{shown} is a dataset of Hugging Face's library datasets, which Python does not find: "
            "install it with pip install '.[datasets]' in the folder of dpl_nas's repository"
        ) from error
    datasets.disable_progress_bars()
    try:
        with _told(shown):
            yield
    finally:
        if not hidden:
            datasets.enable_progress_bars()


def _parquet(path: Path) -> dict[str, list[str]]:
    """The Parquet files of each split, in the folder or in its ``data/``."""
    found: dict[str, list[str]] = {}
    for folder in (path, path / "data"):
        for file in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
            name = _SPLIT.fullmatch(file.name)
            found.setdefault(name[1] if name else file.stem, []).append(str(file))
    if found and not any(map(part_of_name, found)):
        # Pieces of one table.
        return {"train": [file for files in found.values() for file in files]}
    return found


def _splits(path: Path) -> dict[str, Any]:
    from datasets import Dataset, DatasetDict, load_from_disk

    files = _parquet(path)
    if not files:
        loaded = load_from_disk(str(path))
        return dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {split: Dataset.from_parquet(paths) for split, paths in files.items()}


def _of_parts(splits: dict[str, Any], shown: str) -> dict[str, Any]:
    """Leave out splits that are no part of a task, such as ``extra``; warn of them."""
    others = [split for split in splits if part_of_name(split) is None]
    if others and len(others) < len(splits):
        warnings.warn(
            f"{shown}: the splits {tell_names(others)} are left out, as they are not for training, "
            "validation or test",
            DplWarning,
            stacklevel=3,
        )
        return {split: table for split, table in splits.items() if split not in others}
    return splits


def _columns(table: Any, settings: ColumnsFile, shown: str, source: str) -> _Columns:
    """The columns of images and of labels."""
    from datasets import ClassLabel
    from datasets import Image as ImageFeature

    features: Mapping[str, Any] = table.features
    images = [name for name, kind in features.items() if isinstance(kind, ImageFeature)]
    labels = [name for name, kind in features.items() if isinstance(kind, ClassLabel)]
    labels = labels or [name for name in _LABELS if name in features]
    image = _one(images, settings.image, images, "image", shown, source)
    others = [name for name in features if name not in images]
    return _Columns(image, _one(labels, settings.label, others, "label", shown, source))


def _one(
    found: Sequence[str],
    asked: str | None,
    known: Sequence[str],
    what: str,
    shown: str,
    source: str,
) -> str:
    if asked is None and len(found) == 1:
        return found[0]
    if asked is not None and asked in known:
        return asked
    advice = f"name the right one with {what} in {source}" if known else "save it with one"
    raise TaskError(
        f"{shown} should have one column of {what}s, found {tell_names(known) or 'none'}: {advice}"
    )


def _undecoded(table: Any, image: str) -> Any:
    from datasets import Image as ImageFeature

    # All pictures are read in one way, whoever stores them.
    return table.select_columns([image]).cast_column(image, ImageFeature(decode=False))


def _declared(table: Any, column: str) -> Sequence[str]:
    """The names that a dataset gives to its labels, if it does."""
    return getattr(table.features[column], "names", None) or ()


def _labels(table: Any, column: str, images: str) -> list[str]:
    """The name of the label of each image; ``images`` is what to call them."""
    names = _declared(table, column)
    found: list[str] = []
    for row, value in enumerate(table.select_columns([column]).with_format(None)[column]):
        label = value
        if names and type(value) is int:
            label = names[value] if 0 <= value < len(names) else None
        if label is None:
            raise TaskError(f"{images}/{row} has no label: remove it, or give it one")
        if not isinstance(label, str) and type(label) is not int:
            raise TaskError(
                f"{images}/{row} has the label {abbreviate(label)}: make it a text or a whole "
                "number, or name another column with label in task.yml"
            )
        found.append(str(label))
    return found
