"""Names of packaged files: ``mini_clip`` is a space, ``darts`` a strategy.

A name without a folder or suffix means a packaged preset; anything else is a path. In a
wheel the YAML files live inside the package; in a checkout they are the repository's own
``search_spaces/`` and ``strategies/`` folders.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from dpl_nas.errors import CheckpointError, DplError, shorten
from dpl_nas.io.files import read_bytes
from dpl_nas.io.home import expand_home
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.suggestions import closest
from dpl_nas.io.yaml_values import MAX_BYTES, NotYamlError, abbreviate, parse_yaml

__all__ = ["preset_names", "preset_path", "read_yaml"]

Collection = Literal["search_spaces", "strategies"]

_PACKAGE = Path(__file__).parents[1]


def _folder(collection: Collection) -> Path:
    packaged = _PACKAGE / collection
    return packaged if packaged.is_dir() else _PACKAGE.parent / collection


def preset_names(collection: Collection) -> list[str]:
    """The names of the packaged presets, sorted."""
    return sorted(path.stem for path in _folder(collection).glob("*.yml"))


def preset_path(
    collection: Collection, name_or_path: AnyPath, kind: str, error: type[DplError]
) -> Path:
    """Return the file that a name or a path refers to.

    Raises
    ------
    error
        If there is no such file; the message lists the known names.
    """
    text = str(name_or_path)
    looks_like_path = text.endswith((".yml", ".yaml")) or "/" in text or "\\" in text
    if looks_like_path:
        try:
            path = Path(expand_home(text))
        except ValueError as unknown:
            raise error(f"{kind} file {shorten(text)}: {unknown}") from None
        if not path.is_file():
            found = "is not a file" if os.path.lexists(path) else "does not exist"
            raise error(f"{kind} file {shorten(text)} {found}")
        return path
    names = preset_names(collection)
    if text not in names:
        close = closest(text, names)
        hint = f"; did you mean {close}?" if close else ""
        raise error(
            f"unknown {kind} '{shorten(text)}': give one of {', '.join(names)}, or the path of a "
            f".yml file{hint}"
        )
    return _folder(collection) / f"{text}.yml"


def read_yaml(path: Path, kind: str, error: type[DplError]) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises
    ------
    error
        If the file cannot be read, is too large, is not YAML or is not a mapping.
    """
    try:
        value = parse_yaml(read_bytes(path, MAX_BYTES).decode("utf-8"))
    except CheckpointError as problem:
        raise error(f"{kind} file: {problem}") from problem
    except UnicodeDecodeError as problem:
        raise error(
            f"cannot read {kind} file {path}: it is not UTF-8 (byte {problem.start + 1})"
        ) from problem
    except NotYamlError as problem:
        raise error(f"{kind} file {path} is not valid YAML: {problem}") from problem
    if not isinstance(value, dict):
        raise error(
            f"{kind} file {path} must hold a mapping of settings, found {abbreviate(value)}"
        )
    return value
