"""What somebody may have meant by a key that is not known."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

__all__ = ["meant"]


def meant(model: type[BaseModel] | None, place: Sequence[int | str], data: Any = None) -> str:
    """``: did you mean epochs?`` for a key at ``place`` of ``model``; nothing if none is close.

    Parameters
    ----------
    data
        What was validated: other keys of it may say which type a key has.
    """
    if model is None or not place:
        return ""
    models = [model]
    for part in place[:-1]:
        fields = [each for each in models if part in each.model_fields]
        # Otherwise a key of a mapping, or an index, whose values are what the field has.
        if fields:
            models = [found for each in fields for found in _of_field(each, str(part), data)]
        data = data.get(part) if isinstance(data, Mapping) else None
    known = [name for each in models for name in each.model_fields]
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def _of_field(model: type[BaseModel], name: str, data: Any) -> Iterator[type[BaseModel]]:
    """Models that a field may be; a model whose data decide it says so by ``type_of_field``."""
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
