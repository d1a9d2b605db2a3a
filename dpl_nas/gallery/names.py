"""English names, tags and groups of emoji, read from the package ``emojibase-data``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.archives import read_members
from dpl_nas.gallery.picture import plain_code
from dpl_nas.io.json_values import parse_json

__all__ = ["Concept", "find_slugs", "read_names"]

_FOLDER = "package/en/"
#: Older names that the packages of Iconify use, by the beginnings of today's.
_OLDER = (("flag-for-", "flag-"), ("flag-for-flag-", "flag-"))
#: The same, of single emoji.
_RENAMED = {
    "bear-face": "bear",
    "cat-face-with-tears-of-joy": "cat-with-tears-of-joy",
    "cat-face-with-wry-smile": "cat-with-wry-smile",
    "crying-cat-face": "crying-cat",
    "flag-for-black-flag": "black-flag",
    "flag-for-chequered-flag": "chequered-flag",
    "flag-for-crossed-flags": "crossed-flags",
    "flag-for-rainbow-flag": "rainbow-flag",
    "flag-for-triangular-flag": "triangular-flag",
    "flag-for-turkey": "flag-turkiye",
    "flag-for-white-flag": "white-flag",
    "grinning-cat-face-with-smiling-eyes": "grinning-cat-with-smiling-eyes",
    "smiling-cat-face-with-heart-eyes": "smiling-cat-with-heart-eyes",
}


@dataclass(frozen=True)
class Concept:
    """What a picture shows, whoever drew it; the words are those of ``Picture``."""

    code: str
    name: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    tone: int = 0


def read_names(package: Path) -> dict[str, Concept]:
    """Return all emoji by their code, in Unicode's order; of two skin tones none is kept.

    Raises
    ------
    CheckpointError
        If the package is not laid out as expected.
    """
    wanted = {f"{_FOLDER}data.json", f"{_FOLDER}messages.json"}
    found = dict(read_members(package, wanted.__contains__))
    try:
        data = parse_json(found[f"{_FOLDER}data.json"])
        messages = parse_json(found[f"{_FOLDER}messages.json"])
        groups = {each["order"]: each["key"] for each in messages["groups"]}
        subgroups = {each["order"]: each["key"] for each in messages["subgroups"]}
        entries = [entry for entry in data if "group" in entry and "subgroup" in entry]
        entries.sort(key=lambda entry: entry["order"])
        every = [concept for entry in entries for concept in _concepts(entry, groups, subgroups)]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{package} is not laid out as expected: {error}") from error
    return {concept.code: concept for concept in every}


def find_slugs(concepts: Mapping[str, Concept]) -> dict[str, str]:
    """Return the code of each name, written as the packages of Iconify write names."""
    slugs: dict[str, str] = {}
    for concept in concepts.values():
        if concept.tone == 0:
            slugs.setdefault(_slug(concept.name), concept.code)
    for slug, code in list(slugs.items()):
        for older, newer in _OLDER:
            if slug.startswith(newer):
                slugs.setdefault(older + slug.removeprefix(newer), code)
    for older, newer in _RENAMED.items():
        slugs.setdefault(older, slugs[newer])
    return slugs


def _concepts(
    entry: dict[str, Any], groups: dict[int, str], subgroups: dict[int, str]
) -> Iterator[Concept]:
    first = Concept(
        code=plain_code(entry["hexcode"]),
        name=str(entry["label"]),
        tags=tuple(map(str, entry.get("tags", ()))),
        group=groups[entry["group"]],
        subgroup=subgroups[entry["subgroup"]],
    )
    yield first
    for skin in entry.get("skins", ()):
        if isinstance(skin["tone"], int):
            yield Concept(
                plain_code(skin["hexcode"]),
                first.name,
                first.tags,
                first.group,
                first.subgroup,
                skin["tone"],
            )


def _slug(name: str) -> str:
    plain = name.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "").replace("'", "")
    plain = unicodedata.normalize("NFKD", plain.replace("&", " and "))
    return re.sub("[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
