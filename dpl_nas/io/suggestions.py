"""Suggestions for unknown keys and names."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

__all__ = ["closest", "meant"]


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like ``name``, or nothing; case does not matter."""
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else ""


def meant(model: type[BaseModel] | None, place: Sequence[int | str], data: Any = None) -> str:
    """Return the known key that is meant by the one at ``place`` of ``model``, or nothing.

    Parameters
    ----------
    data
        The validated data; its other keys may decide the type of a key.
    """
    if model is None or not place:
        return ""
    models = [model]
    for part in place[:-1]:
        fields = [each for each in models if part in each.model_fields]
        # Otherwise it is a key of a mapping, or an index, whose values have the field's type.
        if fields:
            models = [found for each in fields for found in _of_field(each, str(part), data)]
        data = data.get(part) if isinstance(data, Mapping) else None
    return closest(str(place[-1]), [name for each in models for name in each.model_fields])


def _of_field(model: type[BaseModel], name: str, data: Any) -> Iterator[type[BaseModel]]:
    """Models that a field may be; ``type_of_field`` decides if this depends on the data."""
    decide = getattr(model, "type_of_field", None)
    decided = decide(name, data) if decide is not None and isinstance(data, Mapping) else None
    if decided is not None:
        yield decided
        return
    yield from _models(model.model_fields[name].annotation)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models within a type."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for each in get_args(annotation):
        yield from _models(each)
