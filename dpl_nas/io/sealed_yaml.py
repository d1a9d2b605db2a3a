"""YAML that programs write and read back, with a checksum in its last line, a comment.

The checksum is that of :mod:`dpl_nas.io.json_values`: of the values, however they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpl_nas.errors import DplError
from dpl_nas.io.files import read_bytes, write_text
from dpl_nas.io.json_values import CHECKSUM, seal
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.yaml_values import dump_yaml

__all__ = ["read_sealed_yaml", "write_sealed_yaml"]

_SEAL = re.compile(rf"^# {CHECKSUM}: ([0-9a-f]{{64}})\s*\Z".encode(), re.MULTILINE)


def write_sealed_yaml(path: Path, value: Mapping[str, Any]) -> None:
    """Write plain values to ``path`` atomically, with their checksum."""
    write_text(path, f"{dump_yaml(value)}# {CHECKSUM}: {seal(value)[CHECKSUM]}\n")


def read_sealed_yaml(path: Path, kind: str, error: type[DplError], remedy: str) -> dict[str, Any]:
    """Read a mapping that :func:`write_sealed_yaml` wrote.

    Parameters
    ----------
    remedy
        Advice if the file is damaged, such as "remove it to start afresh".

    Raises
    ------
    error
        If the file cannot be read, is not a YAML mapping, or has no checksum or a wrong one.
    """
    value = read_yaml(path, kind, error)
    sealed = _SEAL.search(read_bytes(path))
    if sealed is None:
        raise error(
            f"{path} has no checksum in its last line, so it is damaged, changed by hand or of "
            f"another version of dpl_nas: {remedy}"
        )
    if seal(value)[CHECKSUM] != sealed[1].decode():
        raise error(f"{path} is damaged or was changed, as it does not fit its checksum: {remedy}")
    return value
