"""Reading of WordNet's files of data."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError
from dpl_nas.glosses.wordnet import PARTS, Synset, parse_data, read_wordnet

#: Written by hand in the format of data.noun; the licence comes first.
NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by
  2 Princeton University under the following license.
00000100 03 n 01 thing 0 001 ~ 00000200 n 0000 | a separate entity
00000200 05 n 02 pond_dog 0 water_hound 1 002 @ 00000100 n 0000 ~i 00000300 n 0000 \
| a dog that lives in ponds; not a fish; "the pond dog barked; it was wet"
00000300 05 n 01 Rex 0 001 @i 00000200 n 0000 | "the king" of all pond dogs
00000400 0a n 01 odd 0 000 | (botany) wet: "an example"
"""
ADJECTIVES = "00000500 00 s 02 out(p) 0 galore(ip) 0 001 & 00000600 a 0000 | very wet  \n"


def test_words_categories_and_definitions_are_read() -> None:
    nouns = parse_data("noun", NOUNS.replace("0a n", "10 n").splitlines())
    assert nouns[1] == Synset(
        part="noun",
        offset="00000200",
        lemmas=("pond dog", "water hound"),
        category=5,
        gloss="a dog that lives in ponds; not a fish",
        hypernyms=(("thing",),),
        instance=False,
        chain=("thing",),
    )
    assert nouns[2].instance
    assert nouns[2].chain == ("pond dog", "thing")
    assert nouns[2].hypernyms == (("pond dog", "water hound"),)
    assert nouns[3].gloss == "(botany) wet"
    assert not nouns[0].hypernyms


def test_marks_of_adjectives_are_no_part_of_words() -> None:
    (found,) = parse_data("adj", [ADJECTIVES])
    assert found.lemmas == ("out", "galore")
    assert found.hypernyms == ()


@pytest.mark.parametrize("line", ["one two", NOUNS.splitlines()[-1], "00000100 03 n zz x 0 000 |"])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(CheckpointError, match=r"line 2 of data\.noun is not of WordNet's format"):
        parse_data("noun", ["00000100 03 n 01 thing 0 000 | a thing", line])


def _archive(path: Path, parts: tuple[str, ...]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for part in parts:
            content = f"00000100 03 {part[0]} 01 {part} 0 000 | what is a {part}\n".encode()
            member = tarfile.TarInfo(f"./usr/share/wordnet/data.{part}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_all_parts_of_speech_are_read_in_order(tmp_path: Path) -> None:
    synsets = read_wordnet(_archive(tmp_path / "all.tgz", PARTS[::-1]))
    assert [each.part for each in synsets] == list(PARTS)
    assert [each.lemmas for each in synsets] == [(part,) for part in PARTS]
    with pytest.raises(CheckpointError, match="lacks files of WordNet"):
        read_wordnet(_archive(tmp_path / "some.tgz", PARTS[:2]))
