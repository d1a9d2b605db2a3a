"""The ``repr`` of objects: a line that says what they are, however much they hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from os import PathLike
from typing import Any

from pydantic import BaseModel

from dpl_nas.io.text import make_printable

__all__ = ["LONGEST", "in_a_line", "short_repr"]

#: Most characters of a ``repr``.
LONGEST = 200

_TEXT = 40
_OBJECT = 60
_MISSING = object()


def short_repr(value: Any) -> str:
    """Return ``Class(field=value, ...)`` of a dataclass or a configuration value, in a line.

    Fields that have their default are left out; of long ones only the number of items is told, and
    of tensors the shape. In a class, ``__repr__ = short_repr``.
    """
    told = (
        f"{name}={_told(each)}"
        for name, each, default in _fields(value)
        if not _same(each, default)
    )
    return in_a_line(f"{type(value).__name__}({', '.join(told)})")


def in_a_line(text: str) -> str:
    """Return a ``repr`` as a line of at most :data:`LONGEST` characters."""
    line = make_printable(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]}...)"


def _fields(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """The name, value and default of each field."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield name, getattr(value, name), field.get_default(call_default_factory=False)
        for name, each in (value.model_extra or {}).items():
            yield name, each, _MISSING
        return
    for given in dataclasses.fields(value):
        default = given.default
        if given.default_factory is not dataclasses.MISSING:
            default = given.default_factory()
        yield given.name, getattr(value, given.name, _MISSING), default


def _same(value: Any, default: Any) -> bool:
    # Tensors and tables have no single answer.
    return value is default or (type(value) is type(default) and bool(_plain(value == default)))


def _plain(answer: Any) -> bool:
    return answer if isinstance(answer, bool) else False


def _told(value: Any) -> str:
    if value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, (str, PathLike)):
        text = str(value)
        return repr(text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}...")
    if isinstance(shape := getattr(value, "shape", None), tuple):
        return f"{type(value).__name__} of {' x '.join(map(str, shape)) or 'a number'}"
    if isinstance(value, Collection):
        return _told_items(value)
    text = repr(value)
    if len(text) <= _OBJECT and "\n" not in text:
        return text
    name = getattr(value, "name", None)
    return f"{type(value).__name__}({f'{name!r:.{_TEXT}}' if isinstance(name, str) else '...'})"


def _told_items(value: Collection[Any]) -> str:
    every = [*value, *value.values()] if isinstance(value, Mapping) else list(value)
    plain = all(each is None or isinstance(each, (bool, int, float, str)) for each in every)
    if plain and len(every) <= _TEXT and len(text := repr(value)) <= _TEXT:
        return text
    count = len(value)
    return f"<{count} {'item' if count == 1 else 'items'}>"
