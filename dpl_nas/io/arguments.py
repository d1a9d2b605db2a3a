"""The arguments of public functions: checked against their annotations, and ``~`` in paths."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from dpl_nas.errors import ConfigError, DplError
from dpl_nas.io.home import expand_home
from dpl_nas.io.yaml_values import abbreviate

__all__ = ["check_arguments", "check_whole", "checked"]

_Asked = ParamSpec("_Asked")
_Result = TypeVar("_Result")

_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    os.PathLike: "a path",
    type(None): "None",
}
_UNIONS = (Union, types.UnionType)


def checked(
    error: type[DplError] = ConfigError,
) -> Callable[[Callable[_Asked, _Result]], Callable[_Asked, _Result]]:
    """Make a function raise ``error`` for arguments that its annotations do not allow.

    An argument that may be a path (:data:`~dpl_nas.io.paths.AnyPath`) reaches the function as a
    text or a :class:`~pathlib.Path`, with the home folder in the place of a leading ``~``.
    """

    def wrap(function: Callable[_Asked, _Result]) -> Callable[_Asked, _Result]:
        @wraps(function)
        def call(*values: _Asked.args, **named: _Asked.kwargs) -> _Result:
            given = check_arguments(function, values, named, error)
            _understand_paths(function, given, error)
            return function(*given.args, **given.kwargs)

        return call

    return wrap


def check_arguments(
    function: Callable[..., Any],
    values: Sequence[Any],
    named: Mapping[str, Any],
    error: type[DplError] = ConfigError,
    name: str | None = None,
) -> inspect.BoundArguments:
    """Raise an error unless ``function`` takes these arguments; return them by their names.

    Of values within lists and mappings nothing is asked.

    Parameters
    ----------
    name
        Name of the function in messages.

    Raises
    ------
    error
        If an argument is missing, unknown or of another type; the message names it.
    """
    name = name or function.__qualname__
    signature, hints = _asked(function)
    try:
        bound = signature.bind(*values, **named)
    except TypeError as problem:
        raise error(f"{name}: {problem}") from None
    for argument, value in bound.arguments.items():
        kind = signature.parameters[argument].kind
        if kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            continue
        hint = hints.get(argument, Any)
        if not _fits(value, hint):
            raise error(
                f"{name}: {argument} should be {_described(hint)}, found {abbreviate(value)}"
            )
    return bound


def check_whole(name: str, value: object, least: int) -> None:
    """Raise an error unless ``value`` is a whole number of ``least`` or more.

    Raises
    ------
    ConfigError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"{name} should be a whole number of {least} or more, found {abbreviate(value)}"
        )


def _understand_paths(
    function: Callable[..., Any], given: inspect.BoundArguments, error: type[DplError]
) -> None:
    """Put texts and :class:`Path` in the place of arguments that may be paths, without ``~``."""
    _, hints = _asked(function)
    for argument, value in given.arguments.items():
        if not _may_be_path(hints.get(argument)) or not isinstance(value, (str, os.PathLike)):
            continue
        if not isinstance(value, (str, Path)):
            # A path of bytes has passed as well, as its type does not tell.
            text = os.fspath(value)
            if not isinstance(text, str) or not text:
                raise error(
                    f"{function.__qualname__}: {argument} should be a path, whose text is not "
                    f"empty, found {abbreviate(text)}"
                )
            value = given.arguments[argument] = Path(text)  # noqa: PLW2901
        if str(value).startswith("~"):
            try:
                given.arguments[argument] = type(value)(expand_home(str(value)))
            except ValueError as problem:
                raise error(f"{argument}: {problem} (found {abbreviate(value)})") from None


def _is_path(hint: Any) -> bool:
    return hint is Path or (get_origin(hint) or hint) is os.PathLike


def _may_be_path(hint: Any) -> bool:
    return _is_path(hint) or any(map(_is_path, get_args(hint)))


@cache
def _asked(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    # Later imports of a module may be missing while it is loaded, but not when it is called.
    return inspect.signature(function), get_type_hints(function)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in _UNIONS:
        kinds = get_args(hint)
        # To Python, an empty path is the working directory.
        if isinstance(value, str) and not value and any(map(_is_path, kinds)):
            return False
        return any(_fits(value, each) for each in kinds)
    if origin is Literal:
        return any(
            value is each or (type(value), value) == (type(each), each) for each in get_args(hint)
        )
    kind = origin or hint
    if not isinstance(kind, type) or kind is Any or getattr(kind, "_is_protocol", False):
        return True
    if isinstance(value, str) and kind is not str and origin is not None:
        # A text is a sequence of texts to Python.
        return False
    if isinstance(value, bool) and kind in (int, float):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def _described(hint: Any) -> str:
    if get_origin(hint) in _UNIONS:
        parts = [_described(each) for each in get_args(hint)]
        return f"{', '.join(parts[:-1])} or {parts[-1]}"
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    kind = get_origin(hint) or hint
    if kind in _NAMES:
        return _NAMES[kind]
    name = getattr(kind, "__name__", str(kind))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
