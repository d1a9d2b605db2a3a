"""A user's own texts: a table with a column of texts, or a folder a class of text files."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from dpl_nas.config import Augmentation
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_folders import is_file, is_folder, list_entries
from dpl_nas.tasks.names import check_class_name, spaced, tell_names
from dpl_nas.tasks.parts import SPLIT, Part, find_parts, stated_part
from dpl_nas.tasks.rows import TEST_SHARE, Row, task_of_rows
from dpl_nas.tasks.settings import SETTINGS, SplitFile, read_settings, read_settings_beside
from dpl_nas.tasks.tables import read_columns, read_table, read_text
from dpl_nas.tasks.task import ImageSet, Task
from dpl_nas.tasks.texts import TEXT_TEMPLATE, TextSet, check_text_template

__all__ = ["TextFile", "is_text_folder", "is_text_table", "load_text_folder", "load_text_table"]

_SUFFIX = ".txt"
#: Settings that are about images.
_OF_IMAGES = {"augmentation", "background", "templates"}


class TextFile(SplitFile):
    """The settings of texts.

    Attributes
    ----------
    template
        ``{text}``, then ``{}`` for the name of the class, which is the word that is told.
    text, label
        Columns of a table.
    """

    template: str = TEXT_TEMPLATE
    augmentation: Augmentation = "none"
    text: str = Field(default="text", min_length=1)
    label: str = Field(default="label", min_length=1)


@dataclass(frozen=True)
class _Text:
    text: str
    label: str
    part: Part | None


def is_text_table(path: Path) -> bool:
    """Whether a table has texts: its settings name their column, or it has one of this name."""
    beside = [path.with_suffix(each) for each in (".yml", ".yaml")]
    if any("text" in read_yaml(file, "task", TaskError) for file in beside if file.is_file()):
        return True
    try:
        columns = read_columns(path)
    except TaskError:
        # What is wrong is told by who reads it.
        return False
    return "text" in columns and "path" not in columns


def load_text_table(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load a table with the columns ``text``, ``label`` and perhaps ``split``.

    ``NAME.yml`` beside it may name the columns, the template and the words of classes.

    Raises
    ------
    TaskError
        If a line is damaged or lacks a text or a label, or the settings are not valid.
    """
    settings, source = read_settings_beside(path, TextFile)
    columns = (settings.text, settings.label)
    if len({*columns, SPLIT}) < 3:
        raise TaskError(
            f"{source}: text and label should be two columns, and none of them {SPLIT}, found "
            f"{tell_names(columns)}: correct them"
        )
    advice = f"rename columns, or name the right ones with text and label in {source}"
    found = []
    for line in read_table(path, columns, (SPLIT,), advice):
        text, label = (line.values[column] for column in columns)
        if not text:
            raise TaskError(f"{line.where} has an empty text: give one, or remove the line")
        check_class_name(spaced(label), line.where)
        found.append(_Text(text, label, stated_part(line)))
    return _task(path, found, settings, source, test_share)


def is_text_folder(path: Path) -> bool:
    """Whether the first class folder of a folder, or of one of its parts, holds text files."""
    parts = find_parts(path)
    root = next(iter(parts.values()), path)
    for folder in list_entries(str(root)):
        if is_folder(folder):
            entries = list_entries(folder.path)
            return bool(entries) and all(map(_is_text, entries))
    return False


def load_text_folder(path: Path, test_share: float = TEST_SHARE) -> Task:
    """Load text files in ``<class>/*.txt``, or in ``train/<class>/`` and ``test/<class>/``.

    Raises
    ------
    TaskError
        If a file is empty or no UTF-8, or the settings are not valid.
    """
    settings, source = read_settings(path, TextFile)
    parts = find_parts(path)
    found = [each for part, root in parts.items() for each in _in_classes(root, part)]
    if not parts:
        found = _in_classes(path, None)
    task = _task(path, found, settings, source, test_share)
    roots = parts.values() or [path]
    return replace(task, folders=tuple(str(root.absolute()) for root in roots))


def _in_classes(root: Path, part: Part | None) -> list[_Text]:
    found, others = [], []
    for folder in list_entries(str(root)):
        if not is_folder(folder):
            if folder.name not in SETTINGS:
                others.append(folder.path)
            continue
        check_class_name(spaced(folder.name), make_printable(str(root)))
        for entry in list_entries(folder.path):
            if not _is_text(entry):
                others.append(entry.path)
                continue
            text = read_text(Path(entry.path)).strip()
            if not text:
                raise TaskError(f"{make_printable(entry.path)} is empty: remove it")
            found.append(_Text(text, folder.name, part))
    if others:
        warnings.warn(
            f"{make_printable(str(root))}: {len(others)} entries are no text files ({_SUFFIX}) in "
            f"the folder of a class, and do not count, such as {tell_names(others[:1])}",
            DplWarning,
            stacklevel=5,
        )
    return found


def _is_text(entry: os.DirEntry[str]) -> bool:
    return is_file(entry) and entry.name.endswith(_SUFFIX)


def _task(
    path: Path, texts: Sequence[_Text], settings: TextFile, source: str, test_share: float
) -> Task:
    given = sorted(_OF_IMAGES & settings.model_fields_set)
    if given:
        raise TaskError(f"{source}: {' and '.join(given)} are about images: remove them")
    check_text_template(settings.template, source)
    seen: Counter[str] = Counter()
    rows = []
    for each in texts:
        # Named by what they say: added texts change little in what is kept for the test.
        name = hashlib.sha256(each.text.encode()).hexdigest()
        rows.append(Row(f"{name}-{seen[name]}", each.label, each.part))
        seen[name] += 1

    def of(indices: Sequence[int], labels: Sequence[int]) -> TextSet:
        return TextSet([texts[index].text for index in indices], labels, settings.template)

    task = task_of_rows(path, rows, of, settings, source, test_share=test_share)
    task = replace(task, inputs="texts", templates=())
    _tell_copies(task)
    return task


def _tell_copies(task: Task) -> None:
    """Warn of texts that are both trained on and tested."""
    twice = sorted(_texts_of(task.train, task.validation) & _texts_of(task.test))
    if twice:
        warnings.warn(
            f"{make_printable(task.name)}: {len(twice)} texts are training texts and test texts, "
            f"such as {tell_names([twice[0][:60]])}; keep one of each",
            DplWarning,
            stacklevel=5,
        )


def _texts_of(*sets: ImageSet | None) -> set[str]:
    return {text for each in sets if isinstance(each, TextSet) for text in each.texts}
