"""Arguments that several commands read alike: lists of numbers, and settings with an owner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dpl_nas.errors import ConfigError

__all__ = ["by_owner", "read_settings", "whole_numbers"]


def by_owner(settings: Iterable[str], owners: Iterable[str]) -> dict[str, list[str]]:
    """Sort texts ``OWNER.KEY=VALUE`` by owner, without it; those of none are under ``""``.

    The name of an owner may begin with another's: then the longest is meant.
    """
    found: dict[str, list[str]] = {"": [], **{owner: [] for owner in owners}}
    for each in settings:
        key = each.partition("=")[0]
        owner = max((name for name in found if key.startswith(f"{name}.")), key=len, default="")
        found[owner].append(each.removeprefix(f"{owner}.") if owner else each)
    return found


def read_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read texts ``KEY=VALUE``, of which keys may have dots, as nested settings."""
    from dpl_nas.config.overrides import parse_overrides, put_all

    settings: dict[str, Any] = {}
    put_all(settings, parse_overrides(texts), {})
    return settings


def whole_numbers(words: str | Sequence[str], option: str) -> list[int]:
    """Read whole numbers with commas or spaces between, each different.

    Raises
    ------
    ConfigError
        If there is none, or a word is something else, or there twice.
    """
    text = words if isinstance(words, str) else " ".join(words)
    found = text.replace(",", " ").split()
    # Python itself refuses numbers of thousands of digits.
    wrong = [each for each in found if not each.isdecimal() or len(each) > 100]
    if wrong or not found or len(set(found)) != len(found):
        raise ConfigError(
            f"{option} must be different whole numbers of 0 or more, such as 1 2 3, found "
            f"{' '.join(found)!r:.60}"
        )
    return [int(each) for each in found]
