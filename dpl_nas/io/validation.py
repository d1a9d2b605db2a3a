"""The base class of all configuration values, and one-sentence messages for their problems."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from dpl_nas.errors import ConfigError, DplError, shorten
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.suggestions import meant
from dpl_nas.io.yaml_values import abbreviate

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

__all__ = [
    "Frozen",
    "Name",
    "Number",
    "PathText",
    "Truth",
    "WholeNumbers",
    "problems_of",
    "validate",
]


class _Told(ModelMetaclass):
    """Class of classes whose constructor raises one sentence; pydantic itself does not call it."""

    if not TYPE_CHECKING:

        def __call__(cls, *values: Any, **settings: Any) -> Any:  # noqa: N805
            if values:
                raise cls.error_class(
                    f"{cls.__name__} takes settings by name, such as "
                    f"{next(iter(cls.model_fields), 'name')}=..., found {abbreviate(values[0])}"
                )
            try:
                return super().__call__(**settings)
            except ValidationError as problem:
                raise cls.error_class(_sentence(problem, cls, settings, cls.__name__)) from None


class Frozen(BaseModel, metaclass=_Told):
    """A configuration value: immutable; unknown keys are refused.

    Attributes
    ----------
    error_class
        Error that is raised if it is made of wrong settings.
    """

    error_class: ClassVar[type[DplError]] = ConfigError

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        return repr(self)


def _number(value: Any) -> Any:
    # To Python true is 1, and to pydantic the text 1_000 is 1000.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number")
    return value


#: Numbers; true, false and texts are not numbers.
Number = Annotated[float, BeforeValidator(_number)]


def _truth(value: Any) -> Any:
    # To pydantic 1 and the texts on and yes are true.
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


#: True or false; numbers and texts are neither.
Truth = Annotated[bool, BeforeValidator(_truth)]


def _printable(name: str) -> str:
    # They appear in terminals, tables and names of folders.
    if not name.isprintable():
        raise ValueError("expected a name of printable characters")
    return name


#: Name of a space or a strategy.
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]


def _path_text(path: Any) -> Any:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


#: A name or a path: a text, or whatever :data:`~dpl_nas.io.paths.AnyPath` allows, as a text.
PathText = Annotated[str, BeforeValidator(_path_text), Field(min_length=1)]

#: No CLIP has a thousand layers, and no layer takes as many context vectors.
_LARGEST = 1000


def _whole_numbers(value: Any) -> Any:
    """Return a list of whole numbers from ``[0, 2, 4]`` or from the range ``"0-11"``."""
    if isinstance(value, str):
        bounds = re.fullmatch(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*", value)
        if bounds is None:
            raise ValueError("expected a list of whole numbers or a range such as 0-11")
        first, last = map(int, bounds.groups())
        if first > last:
            raise ValueError(f"expected a range that rises, such as {last}-{first}")
        if last > _LARGEST:
            raise ValueError(f"expected whole numbers up to {_LARGEST}, not {last}")
        return tuple(range(first, last + 1))
    if not isinstance(value, (list, tuple)):
        raise ValueError("expected a list of whole numbers or a range such as 0-11")
    # bool is an int to Python, and 2.0 would pass pydantic's lax mode.
    wrong = [
        item for item in value if isinstance(item, bool) or not isinstance(item, int) or item < 0
    ]
    if wrong:
        raise ValueError(
            f"expected whole numbers of 0 or more, not {', '.join(map(abbreviate, wrong[:4]))}"
        )
    large = [item for item in value if item > _LARGEST]
    if large:
        raise ValueError(f"expected whole numbers up to {_LARGEST}, not {_about(max(large))}")
    if len(set(value)) != len(value):
        raise ValueError("expected each number once")
    return tuple(sorted(value))


def _about(number: int) -> str:
    # Floats end at 2**1024.
    return f"{number:.3g}" if number.bit_length() < 1024 else abbreviate(number)


WholeNumbers = Annotated[tuple[int, ...], BeforeValidator(_whole_numbers), Field(min_length=1)]


#: Problems beyond this number are counted, not listed.
_TOLD = 8
#: Longest place of a problem, which may contain a user's key.
_LONG = 100

Value = TypeVar("Value", bound=BaseModel)


def validate(
    model: type[Value],
    data: Any,
    what: str,
    error: type[DplError],
    typed: Callable[[str], str] | None = None,
) -> Value:
    """Return ``data`` as a ``model``.

    Parameters
    ----------
    typed
        Function that gives the setting that is typed for a place in the data, if settings are.

    Raises
    ------
    error
        If ``data`` is not valid; one sentence names the problems, their places and the values.
    """
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        raise error(_sentence(problem, model, data, what, typed)) from None


def _sentence(
    problem: ValidationError,
    model: type[BaseModel],
    data: Any,
    what: str,
    typed: Callable[[str], str] | None = None,
) -> str:
    problems = problems_of(problem, model, data, typed)
    more = len(problems) - _TOLD
    told = [*problems[:_TOLD], *([f"and {more} more problems"] if more > 0 else [])]
    return f"{what}: {'; '.join(told)}"


def problems_of(
    problem: ValidationError,
    model: type[BaseModel] | None = None,
    data: Any = None,
    typed: Callable[[str], str] | None = None,
) -> list[str]:
    """Describe each problem: its place, the expected value and the found one.

    Parameters
    ----------
    model, data
        The model and its data, used to suggest a known key for an unknown one.
    typed
        As in :func:`validate`.
    """
    parts = []
    for item in problem.errors(include_url=False):
        keys = [str(part) for part in item["loc"]]
        place = typed(".".join(keys)) if typed else ".".join(keys)
        where = shorten(place, _LONG) if keys else "the value"
        if item["type"] == "extra_forbidden":
            kind = "setting" if typed else "key"
            if close := meant(model, item["loc"], data):
                # What is typed is the whole place.
                close = place.removesuffix(keys[-1]) + close if typed else close
                close = f": did you mean {close}?"
            parts.append(f"unknown {kind} {where or repr(where)}{close}")
            continue
        message = shorten(item["msg"].removeprefix("Value error, "))
        if item["type"] == "model_type":
            # pydantic names a class of ours.
            message = "expected a mapping of settings"
        found = "" if item["type"] == "missing" else f" (found {abbreviate(item['input'])})"
        parts.append(f"{where}: {message[:1].lower()}{message[1:]}{found}")
    return parts
