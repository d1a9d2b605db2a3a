"""``KEY=VALUE`` overrides: single settings that replace those of files."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dpl_nas.errors import ConfigError, shorten
from dpl_nas.io.arguments import checked
from dpl_nas.io.yaml_values import NotYamlError, abbreviate, parse_yaml

__all__ = ["parse_overrides", "put_all", "setting_path", "typed_key", "without_replaced"]

#: Groups with command-line options of their own, and an example setting of each.
_CHOSEN = {"space": "space.towers.image.lengths", "strategy": "search.epochs"}

#: Groups of the strategy whose settings need no prefix.
_OF_STRATEGY = ("search", "train")

#: Values of the method beside its settings.
_OF_METHOD = ("name", "settings")

#: What is at the place of a setting that another one has replaced.
_NOWHERE = object()


@checked()
def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values by key of ``KEY=VALUE`` texts, whose values are YAML.

    Raises
    ------
    ConfigError
        If a text is malformed, or a key has two values.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected KEY=VALUE, found {abbreviate(override)}")
        if not all(key.split(".")):
            raise ConfigError(
                f"expected KEY=VALUE with a KEY such as search.epochs, found {abbreviate(override)}"
            )
        try:
            value = parse_yaml(text)
        except NotYamlError as problem:
            raise ConfigError(
                f"the value of {shorten(key, 100)} is not valid YAML: {problem} "
                f"(found {abbreviate(text)})"
            ) from problem
        _check_stands(key, values.setdefault(key, value), value)
    return values


def setting_path(key: str) -> tuple[str, ...]:
    """Return the names of ``a.b.c``; the settings of the strategy need no prefix.

    Those of the method stand beside its name: ``method.length`` is ``method.settings.length``.
    """
    parts = tuple(key.split("."))
    if parts[0] == "method" and len(parts) > 1 and parts[1] not in _OF_METHOD:
        return ("method", "settings", *parts[1:])
    return ("strategy", *parts) if parts[0] in _OF_STRATEGY else parts


def typed_key(place: str) -> str:
    """Return the key that is typed for a setting: ``search.epochs``, without ``strategy``."""
    if place.startswith("method.settings."):
        return place.replace("method.settings.", "method.", 1)
    first, _, rest = place.partition(".")
    return rest if first == "strategy" and rest.partition(".")[0] in _OF_STRATEGY else place


@checked()
def without_replaced(overrides: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the ``KEY=VALUE`` texts whose keys are none of the keys ``others``."""
    replaced = {setting_path(key) for key in others}
    return [each for each in overrides if setting_path(each.partition("=")[0]) not in replaced]


@checked()
def put_all(data: dict[str, Any], overrides: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Set values by key in nested mappings, which hold the ``given`` ones already.

    Raises
    ------
    ConfigError
        If a key is not one of a setting, or one setting has two values.
    """
    for key, value in overrides.items():
        _put(data, key, value)
    for key, value in (*given.items(), *overrides.items()):
        path = setting_path(key)
        found: Any = data
        for part in path:
            found = found.get(part, _NOWHERE) if isinstance(found, Mapping) else _NOWHERE
        _check_stands(key, value, found)


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    parts = setting_path(key)
    if key in _CHOSEN and not isinstance(value, Mapping):
        raise ConfigError(
            f"expected a single setting such as {_CHOSEN[key]}=VALUE, found "
            f"{key}={abbreviate(value)}: choose a {key} with --{key}"
        )
    place: Any = data
    for part in parts[:-1]:
        child = place.get(part)
        if child is None:
            child = place[part] = {}
        if not isinstance(child, Mapping):
            raise ConfigError(
                f"unknown setting {shorten(key, 100)}: {part:.60} is a value and has no settings"
            )
        place = child
    # Another setting may be put into it.
    place[parts[-1]] = copy.deepcopy(value)


def _check_stands(key: str, value: Any, found: Any) -> None:
    """Raise an error if a given value is not the one that was found in the end."""
    if isinstance(value, Mapping) and isinstance(found, Mapping):
        for name, part in value.items():
            _check_stands(f"{key}.{name}", part, found.get(name, _NOWHERE))
    elif found is _NOWHERE:
        raise _twice(key, f"as {abbreviate(value)} and within another setting")
    elif _exact(found) != _exact(value):
        raise _twice(key, f"as {abbreviate(value)} and as {abbreviate(found)}")


def _twice(key: str, values: str) -> ConfigError:
    return ConfigError(f"{shorten(key, 100)} is given twice, {values}: give it once")


def _exact(value: Any) -> str:
    # To Python, 1, 1.0 and true are equal.
    return json.dumps(value, sort_keys=True, default=repr)
