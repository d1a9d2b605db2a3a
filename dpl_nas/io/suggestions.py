"""What somebody may have meant by a key that is not known."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, Tag

__all__ = ["meant"]


def meant(model: type[BaseModel] | None, place: Sequence[int | str]) -> str:
    """``: did you mean epochs?`` for a key at ``place`` of ``model``; nothing if none is close."""
    if model is None or not place:
        return ""
    models = [model]
    tagged: list[tuple[str, type[BaseModel]]] = []
    for part in place[:-1]:
        if isinstance(part, str) and part.startswith("<"):
            # Which of several kinds it was taken for.
            models = [each for tag, each in tagged if tag == part] or models
            continue
        fields = [each.model_fields[part] for each in models if part in each.model_fields]
        # Otherwise a key of a mapping, or an index, whose values are what the field has.
        if fields:
            tagged = [found for field in fields for found in _models(field.annotation)]
            models = [each for _, each in tagged]
    known = [name for each in models for name in each.model_fields]
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Models within a type, with the tags that tell those of a union apart."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    arguments = get_args(annotation)
    tags = [each.tag for each in arguments if isinstance(each, Tag)]
    for each in arguments:
        for tag, model in _models(each):
            yield (tags[0] if tags else tag), model
