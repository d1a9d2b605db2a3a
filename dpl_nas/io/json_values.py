"""JSON that programs write and read back: parsed strictly, with a checksum.

The last key of a mapping, ``sha256``, is the hash of the rest as :func:`json.dumps` writes it with
sorted keys and without spaces. Lists have no checksum: those that we write
(``plan.json``, ``cells.json``) are for people and are rebuilt from the records of the cells.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from dpl_nas.errors import shorten

__all__ = ["CHECKSUM", "parse_json", "seal", "unseal"]

#: The last key of a mapping with a checksum.
CHECKSUM = "sha256"
#: Digits of a number: longer ones are useless, and we write none.
_MAX_DIGITS = 100


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, nested too deeply, has a key twice or a number that is not finite or
        of very many digits.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_mapping,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``value`` as plain JSON values, with its checksum as the last key."""
    plain = json.loads(json.dumps(value))
    return {**plain, CHECKSUM: _digest(plain)}


def unseal(value: Any) -> dict[str, Any]:
    """Return the mapping that :func:`seal` was given, as read back from JSON.

    Raises
    ------
    ValueError
        If the checksum is missing or wrong.
    """
    if not isinstance(value, dict) or CHECKSUM not in value:
        raise ValueError("it has no checksum")
    rest = {key: part for key, part in value.items() if key != CHECKSUM}
    if _digest(rest) != value[CHECKSUM]:
        raise ValueError("it does not fit its checksum")
    return rest


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{shorten(text, 40)} is not a finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{shorten(text, 40)} has too many digits")
    return int(text)
