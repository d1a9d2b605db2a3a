"""YAML written by people: read safely, with short error messages.

Values are those of YAML 1.2's core schema: ``no`` and ``on`` are texts, ``1e-3`` is a number,
``2020-01-02`` and ``1:30`` are texts, ``010`` is ten.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Hashable
from typing import Any

import yaml

from dpl_nas.errors import shorten

__all__ = ["MAX_BYTES", "NotYamlError", "abbreviate", "dump_yaml", "parse_yaml"]

#: Largest configuration; a larger file is probably something else.
MAX_BYTES = 1_000_000
#: Largest depth of nesting.
_MAX_DEPTH = 50
#: Largest number of values; each alias counts as its target.
_MAX_VALUES = 200_000
#: Largest number of characters of a number.
_MAX_DIGITS = 100

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_STR = f"{_TAG}str"
_KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}


class _Repr(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        # Python does not print those of thousands of digits.
        if value.bit_length() > 4 * _MAX_DIGITS:
            return "a number of many digits"
        return super().repr_int(value, level)


_SHORT = _Repr()
_SHORT.maxlevel = 2
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = _SHORT.maxset = 4
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlong = 40

#: Patterns of plain scalars by kind, and the characters that they begin with.
_CORE = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)


class NotYamlError(ValueError):
    """A text is not YAML, or has a duplicate key."""


def abbreviate(value: Any) -> str:
    """Shorten a value for an error message to at most 60 characters.

    Only the beginning is read. With aliases, a few lines of YAML can expand to more than fits
    into memory.
    """
    return f"{_SHORT.repr(value):.60}"


def parse_yaml(text: str) -> Any:
    """Parse ``text``.

    Raises
    ------
    NotYamlError
        If the text is not YAML, has tags such as ``!!int`` or keys that are not strings, is
        nested too deeply, expands to too much, or has a mapping with a duplicate key, of which
        PyYAML would keep the last.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise NotYamlError("it is nested too deeply") from None
    except yaml.composer.ComposerError as problem:
        raise NotYamlError(f"{shorten(problem.problem or 'an alias is wrong', 100)}") from problem
    except yaml.MarkedYAMLError as problem:
        raise NotYamlError(_wrong_at(problem.problem_mark or problem.context_mark)) from problem
    except yaml.reader.ReaderError as problem:
        raise NotYamlError(
            f"character {problem.position + 1} is a control character, or no character: remove it"
        ) from problem
    except (yaml.YAMLError, ValueError, LookupError) as problem:
        raise NotYamlError(shorten(" ".join(str(problem).split()), 300)) from problem


def dump_yaml(value: Any) -> str:
    """Return ``value`` as YAML that :func:`parse_yaml` and YAML 1.1 readers read alike."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False)
    return text


class _Loader(yaml.SafeLoader):
    """Loader of YAML 1.2's core schema and merged keys (``<<``)."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's own name

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            tag = shorten(str(event.tag).replace(_TAG, "!!"), 40)
            raise NotYamlError(f"{_line(event)} has the tag {tag}: remove it")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotYamlError("it is nested too deeply")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in _texts(node):
            if key.value in seen:
                name = shorten(key.value, 60)
                raise NotYamlError(f"{_line(key)} repeats the key {name}: remove one")
            seen.add(key.value)
        self.flatten_mapping(node)
        # Merged mappings are checked too.
        _texts(node)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        if text.startswith("0o"):
            return int(_short_number(text), 8)
        return int(_short_number(text), 16 if text.startswith("0x") else 10)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        text = _short_number(self.construct_scalar(node))
        # YAML writes .inf and .nan.
        value = float(re.sub(r"\.([iInN])", r"\1", text))
        if math.isinf(value) and any(map(str.isdigit, text)):
            raise NotYamlError(f"the number {shorten(text, 40)} is too large")
        return value


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes every string that either version of YAML would misread."""

    # The lists are shared with SafeDumper.
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        first: list(kinds) for first, kinds in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own name
        return True


for _kind, _pattern, _first in _CORE:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"{_TAG}{_kind}", re.compile(rf"\A(?:{_pattern})\Z"), list(_first)
        )
_Loader.add_implicit_resolver(_MERGE, re.compile("^<<$"), ["<"])
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)
_Loader.add_constructor(f"{_TAG}float", _Loader.construct_yaml_float)


def _wrong_at(mark: yaml.Mark | None) -> str:
    # The parser's own words are about its tokens.
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else "it"
    return f"{place} does not go on as expected: check colons, quotes, brackets and indentation"


def _line(node: Any) -> str:
    return f"line {node.start_mark.line + 1}"


def _texts(node: yaml.MappingNode) -> list[yaml.ScalarNode]:
    """Return the keys of a mapping except ``<<``; raise an error for keys that are not strings."""
    keys = [key for key, _ in node.value if key.tag != _MERGE]
    for key in keys:
        if not isinstance(key, yaml.ScalarNode):
            raise NotYamlError(f"{_line(key)} has a list or a mapping as a key: use a name")
        if key.tag != _STR:
            name = shorten(key.value, 60)
            kind = _KINDS[key.tag.removeprefix(_TAG)]
            raise NotYamlError(
                f"{_line(key)} has {f'the key {name}' if name else 'an empty key'}, which is "
                f"{kind} to YAML: put it in quotes, as '{name}'"
            )
    return keys


def _short_number(text: str) -> str:
    if len(text) > _MAX_DIGITS:
        raise NotYamlError(
            f"the number {shorten(text, 40)} has more than {_MAX_DIGITS} characters: put it in "
            "quotes if it is a text"
        )
    return text


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return the number of values in ``node`` and its depth; raise an error if too large."""
    key = id(node)
    if key not in known:
        # A node that contains itself is still present here.
        known[key] = _MAX_VALUES, _MAX_DEPTH
        size, depth = 1, 1
        if isinstance(node, yaml.CollectionNode):
            for item in node.value:
                for part in item if isinstance(item, tuple) else (item,):
                    more, below = _measure(part, known)
                    size, depth = size + more, max(depth, 1 + below)
        if size > _MAX_VALUES or depth > _MAX_DEPTH:
            raise NotYamlError("it expands to too many values: use fewer aliases")
        known[key] = size, depth
    return known[key]
