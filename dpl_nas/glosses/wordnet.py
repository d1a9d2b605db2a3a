"""The words, categories and glosses of WordNet 3.0, read from Debian's package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.archives import read_members

__all__ = ["PARTS", "Synset", "parse_data", "read_wordnet"]

#: The parts of speech: names of the package's files of data.
PARTS = ("noun", "verb", "adj", "adv")
_FOLDER = "usr/share/wordnet/data."
_MARK = re.compile(r"\((a|p|ip)\)$")
#: Examples are quoted and come last.
_EXAMPLES = re.compile(r'(?:^|[;:,]?\s*)".*$', re.DOTALL)
_POINTERS = {"@": "kind", "@i": "instance"}


@dataclass(frozen=True)
class Synset:
    """Words of one meaning.

    Attributes
    ----------
    part
        Part of speech, one of ``PARTS``.
    offset
        The number that identifies it among those of its part.
    lemmas
        Its words, the most frequent first.
    category
        Number of its lexicographer's file, such as 5 for animals.
    gloss
        Its definition, without examples.
    hypernyms
        The lemmas of what it is a kind of, or an instance of; a tuple for each.
    instance
        Whether it is an instance, such as a person of history, and no kind.
    chain
        The first lemma of each more general meaning, the nearest first; of several, the first.
    """

    part: str
    offset: str
    lemmas: tuple[str, ...]
    category: int
    gloss: str
    hypernyms: tuple[tuple[str, ...], ...]
    instance: bool
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    offset: str
    category: int
    lemmas: tuple[str, ...]
    above: tuple[str, ...]
    instance: bool
    gloss: str


def parse_data(part: str, lines: Iterable[str]) -> list[Synset]:
    """Read the lines of a file ``data.noun``, ``data.verb``, ``data.adj`` or ``data.adv``.

    Parameters
    ----------
    part
        The part of speech that the file is of.

    Raises
    ------
    CheckpointError
        If a line is not of this format.
    """
    rows: list[_Row] = []
    for number, line in enumerate(lines, 1):
        # The licence comes first, on lines that begin with a space.
        if not line.strip() or line.startswith(" "):
            continue
        try:
            rows.append(_parse(line))
        except (ValueError, IndexError) as error:
            raise CheckpointError(
                f"line {number} of data.{part} is not of WordNet's format: download it again"
            ) from error
    known = {row.offset: row for row in rows}
    return [
        Synset(
            part=part,
            offset=row.offset,
            lemmas=row.lemmas,
            category=row.category,
            gloss=row.gloss,
            hypernyms=tuple(known[each].lemmas for each in row.above if each in known),
            instance=row.instance,
            chain=tuple(_climb(row, known)),
        )
        for row in rows
    ]


def read_wordnet(package: Path) -> list[Synset]:
    """Return all synsets of the package ``wordnet-base``, in the order of its files.

    Raises
    ------
    CheckpointError
        If the file is no such package.
    """
    wanted = {f"{_FOLDER}{part}": part for part in PARTS}
    found = dict(_read(package, wanted))
    if set(found) != set(PARTS):
        raise CheckpointError(f"{package} lacks files of WordNet: download it again")
    return [synset for part in PARTS for synset in parse_data(part, found[part].splitlines())]


def _read(package: Path, wanted: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, content in read_members(package, lambda name: name in wanted):
        yield wanted[name], content.decode("latin-1")


def _parse(line: str) -> _Row:
    data, _, gloss = line.partition("|")
    fields = data.split()
    count = int(fields[3], 16)
    lemmas = tuple(_clean(word) for word in fields[4 : 4 + 2 * count : 2])
    place = 4 + 2 * count
    pointers = [
        fields[place + 1 + 4 * index : place + 5 + 4 * index] for index in range(int(fields[place]))
    ]
    kinds = [(_POINTERS[symbol], offset) for symbol, offset, *_ in pointers if symbol in _POINTERS]
    return _Row(
        offset=fields[0],
        category=int(fields[1]),
        lemmas=lemmas,
        above=tuple(offset for _, offset in kinds),
        instance=any(kind == "instance" for kind, _ in kinds),
        gloss=_EXAMPLES.sub("", gloss.strip()).strip(" ;:,"),
    )


def _climb(row: _Row, known: dict[str, _Row]) -> Iterator[str]:
    passed = {row.offset}
    while row.above and row.above[0] in known and row.above[0] not in passed:
        row = known[row.above[0]]
        passed.add(row.offset)
        yield row.lemmas[0]


def _clean(word: str) -> str:
    return _MARK.sub("", word).replace("_", " ")
