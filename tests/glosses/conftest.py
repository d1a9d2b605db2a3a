"""Synsets to learn from in a moment."""

from __future__ import annotations

import pytest

from dpl_nas.glosses.wordnet import Synset


def make_synset(number: int, part: str = "noun", category: int = 5) -> Synset:
    return Synset(
        part=part,
        offset=f"{number:08}",
        lemmas=(f"thing {number}", "dog"),
        category=category,
        gloss=f"a small dog that has {number} legs and eats food",
        hypernyms=(("animal", "beast"),),
        instance=False,
    )


@pytest.fixture
def synsets() -> list[Synset]:
    nouns = [make_synset(number, category=4 + number % 25) for number in range(200)]
    return [*nouns, *(make_synset(number, part="verb") for number in range(200, 240))]
