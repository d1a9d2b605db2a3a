"""Tables of images that people write: CSV, TSV, or a JSON object a line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from dpl_nas.errors import CheckpointError, TaskError, shorten
from dpl_nas.io.files import read_bytes
from dpl_nas.io.json_values import parse_json
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.pictures import has_picture_name

__all__ = ["SUFFIXES", "Line", "read_columns", "read_table", "read_text"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}
#: What the names of tables end with.
SUFFIXES = (*_DELIMITERS, *_LINES)


class Line(NamedTuple):
    """A line of a table.

    Attributes
    ----------
    where
        Its place, for errors.
    values
        Texts by column.
    """

    where: str
    values: dict[str, str]


def read_table(
    file: Path,
    needed: Sequence[str] = (),
    optional: Sequence[str] = (),
    advice: str = "rename columns",
) -> list[Line]:
    """Read a table whose lines have the columns ``needed``, and perhaps the ``optional`` ones.

    Parameters
    ----------
    advice
        What to do if columns have other names.

    Raises
    ------
    TaskError
        If it cannot be read, has no lines, a line lacks a column, or a column would be one of these
        but for its case.
    """
    text, known = read_text(file), (*needed, *optional)
    if file.suffix.lower() in _LINES:
        lines = _read_lines(text, file, known)
        columns = list(dict.fromkeys(chain(*(line.values for line in lines))))
    else:
        columns, lines = _read_csv(text, file)
    if columns:
        _check_columns(file, columns, needed, known, advice)
    if not lines:
        raise TaskError(f"{make_printable(str(file))} lists no images: add some")
    for line in lines:
        lost = [column for column in needed if column not in line.values]
        if lost:
            raise TaskError(
                f"{line.where} has no {' and no '.join(lost)}: expected "
                f"{', '.join(needed)}, found {tell_names(line.values) or 'nothing'}"
            )
    return lines


def read_columns(file: Path) -> list[str]:
    """Return the columns that a table's first line names or has; none if that is no such line.

    Raises
    ------
    TaskError
        If the file cannot be read, or is not UTF-8.
    """
    first = next((line for line in read_text(file).split("\n") if line.strip()), "")
    if file.suffix.lower() in _LINES:
        try:
            value = parse_json(first)
        except ValueError:
            return []
        return list(value) if isinstance(value, dict) else []
    delimiter = _DELIMITERS[file.suffix.lower()]
    try:
        return [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _check_columns(
    file: Path, columns: Sequence[str], needed: Sequence[str], known: Sequence[str], advice: str
) -> None:
    """Raise an error if a table lacks columns, or has some that would be known but for their case.

    Parameters
    ----------
    columns
        All that it has.
    """
    shown = make_printable(str(file))
    for column in columns:
        if column not in known and column.strip().lower() in known:
            raise TaskError(
                f"{shown} has a column {tell_names([column])}: rename it to "
                f"{column.strip().lower()}"
            )
    lost = [column for column in needed if column not in columns]
    if not lost:
        return
    lines = file.suffix.lower() in _LINES
    what = "its lines" if lines else "its first line, which names the columns,"
    if not lines and any(map(has_picture_name, columns)):
        advice = "add such a line above the images"
    raise TaskError(
        f"{shown} has no column {' and no '.join(map(make_printable, lost))}: {what} should have "
        f"{' and '.join(map(make_printable, needed))}, found {tell_names(columns)}: {advice}"
    )


def read_text(file: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises
    ------
    TaskError
        If it cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(file).decode("utf-8-sig")
    except CheckpointError as error:
        raise TaskError(str(error)) from error
    except UnicodeDecodeError:
        raise TaskError(f"{make_printable(str(file))} is not UTF-8: save it as such") from None


def _read_csv(text: str, file: Path) -> tuple[list[str], list[Line]]:
    """Return the columns, which the first line names, and the lines below it."""
    source = make_printable(str(file))
    delimiter = _DELIMITERS[file.suffix.lower()]
    # Strict: a quote that is never closed would swallow the rest.
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[Line] = []
    columns: list[str] | None = None
    try:
        for cells in reader:
            where = f"line {reader.line_num} of {source}"
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                _check_separator(cells, delimiter, where)
                columns = [cell.strip() for cell in cells]
                if len(set(columns)) < len(columns):
                    raise TaskError(
                        f"{where} names a column twice: rename one of {tell_names(columns)}"
                    )
                continue
            if len(cells) != len(columns):
                raise TaskError(
                    f"{where} should have {len(columns)} cells, as the first one has, found "
                    f"{len(cells)}: correct it, with quotes around what holds the separator"
                )
            lines.append(
                Line(where, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
            )
    except csv.Error as error:
        raise TaskError(
            f"line {reader.line_num} of {source} is no line of a table ({error}): correct it"
        ) from error
    return columns or [], lines


def _check_separator(cells: Sequence[str], delimiter: str, where: str) -> None:
    """Raise an error if the first line has one cell that something else separates."""
    other = next((each for each in _SEPARATORS if len(cells) == 1 and each in cells[0]), delimiter)
    if other != delimiter:
        raise TaskError(
            f"{where} should separate columns by {_SEPARATORS[delimiter]}, found "
            f"{_SEPARATORS[other]}: save the table with {_SEPARATORS[delimiter]}"
        )


def _read_lines(text: str, file: Path, known: Sequence[str]) -> list[Line]:
    lines: list[Line] = []
    # Not splitlines, which knows ends of lines that JSON does not.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"line {number} of {make_printable(str(file))}"
            try:
                value = parse_json(line)
            except ValueError as error:
                raise TaskError(
                    f"{where} is not readable JSON ({shorten(str(error))}): correct it"
                ) from error
            if not isinstance(value, dict):
                raise TaskError(
                    f"{where} should be an object, found {abbreviate(value)}: correct it"
                )
            lines.append(Line(where, _texts(value, where, known)))
    return lines


def _texts(value: dict[str, Any], where: str, known: Sequence[str]) -> dict[str, str]:
    """The values that are texts or whole numbers; those of ``known`` columns must be, or null."""
    found = {}
    for key, item in value.items():
        if isinstance(item, str) or type(item) is int:
            found[key] = str(item).strip()
        elif key in known and item is not None:
            raise TaskError(
                f"{where}: {key} should be a text or a whole number, found {abbreviate(item)}: "
                "correct it"
            )
    return found
