"""YAML as people write it: read safely, and complained about in a few words."""

from __future__ import annotations

import reprlib
from typing import Any

import yaml

__all__ = ["MAX_BYTES", "NotYamlError", "parse_yaml", "shown"]

#: No configuration is longer; a file that is was probably meant for something else.
MAX_BYTES = 1_000_000

_MERGE = "tag:yaml.org,2002:merge"

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = _SHORT.maxset = 4
_SHORT.maxstring = _SHORT.maxother = 60


class NotYamlError(ValueError):
    """A text is not YAML, or says something twice."""


def shown(value: Any) -> str:
    """A value for an error: 60 characters at most.

    Nothing but the beginning is looked at. With aliases, a few lines of YAML can stand for more
    than fits into memory.
    """
    return f"{_SHORT.repr(value):.60}"


def parse_yaml(text: str) -> Any:
    """The value that ``text`` stands for.

    Raises
    ------
    NotYamlError
        If it is not YAML, or a mapping has a key twice; PyYAML would keep the last one.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise NotYamlError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, LookupError) as problem:
        # Values such as 2020-13-45 or !!int x surface as errors of Python's own types.
        raise NotYamlError(" ".join(str(problem).split())) from problem


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                line = key.start_mark.line + 1
                raise NotYamlError(f"line {line} has the key {key.value} again: remove one")
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)
