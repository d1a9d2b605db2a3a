"""Tables of images that people write: CSV, TSV, or a JSON object a line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from dpl_nas.errors import CheckpointError, TaskError, shorten
from dpl_nas.io.files import read_bytes
from dpl_nas.io.json_values import parse_json
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import tell_names

__all__ = ["SUFFIXES", "Line", "read_table"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
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


def read_table(file: Path, needed: Sequence[str] = ()) -> list[Line]:
    """Read a table whose lines have the columns ``needed``.

    Raises
    ------
    TaskError
        If it cannot be read, has no lines, or a line lacks a column.
    """
    text = _text(file)
    read = _read_lines if file.suffix.lower() in _LINES else _read_csv
    lines = read(text, file)
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


def _text(file: Path) -> str:
    try:
        return read_bytes(file).decode("utf-8-sig")
    except CheckpointError as error:
        raise TaskError(str(error)) from error
    except UnicodeDecodeError:
        raise TaskError(f"{make_printable(str(file))} is not UTF-8: save it as such") from None


def _read_csv(text: str, file: Path) -> list[Line]:
    source = make_printable(str(file))
    # Strict: a quote that is never closed would swallow the rest.
    reader = csv.reader(
        StringIO(text, newline=""), delimiter=_DELIMITERS[file.suffix.lower()], strict=True
    )
    lines: list[Line] = []
    columns: list[str] | None = None
    try:
        for cells in reader:
            where = f"line {reader.line_num} of {source}"
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
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
    return lines


def _read_lines(text: str, file: Path) -> list[Line]:
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
            lines.append(Line(where, _texts(value)))
    return lines


def _texts(value: dict[str, Any]) -> dict[str, str]:
    """The values that are texts or whole numbers: others are no names."""
    return {
        key: str(item).strip()
        for key, item in value.items()
        if isinstance(item, str) or type(item) is int
    }
