"""``KEY=VALUE`` overrides: single settings that replace those of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dpl_nas.errors import ConfigError, shorten
from dpl_nas.io.yaml_values import NotYamlError, abbreviate, parse_yaml

__all__ = ["parse_overrides", "put"]

#: Groups with command-line options of their own, and an example setting of each.
_CHOSEN = {"space": "space.towers.image.lengths", "strategy": "search.epochs"}


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values by key of ``KEY=VALUE`` texts, whose values are YAML.

    Raises
    ------
    ConfigError
        If a text is malformed.
    """
    values = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected KEY=VALUE, found {abbreviate(override)}")
        if not all(key.split(".")):
            raise ConfigError(
                f"expected KEY=VALUE with a KEY such as search.epochs, found {abbreviate(override)}"
            )
        try:
            values[key] = parse_yaml(text)
        except NotYamlError as problem:
            raise ConfigError(
                f"the value of {shorten(key, 100)} is not valid YAML: {problem} "
                f"(found {abbreviate(text)})"
            ) from problem
    return values


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set ``a.b.c`` in nested mappings; the settings of the strategy need no prefix."""
    parts = key.split(".")
    if parts[0] in ("search", "train"):
        parts.insert(0, "strategy")
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
                f"unknown key {shorten(key, 100)}: {part:.60} is a value and has no settings"
            )
        place = child
    place[parts[-1]] = value
