"""The lines of text that the embedded language model learns from."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from dpl_nas.glosses.wordnet import Synset

__all__ = ["ABOUT", "UNSAID", "WORDS", "make_line", "select_synsets"]

#: What a line may say that a noun is about, by the number of its category.
ABOUT = {
    4: "doing",
    5: "animals",
    6: "things",
    7: "qualities",
    8: "bodies",
    9: "thinking",
    10: "saying",
    11: "happenings",
    12: "feelings",
    13: "foods",
    14: "groups",
    15: "places",
    16: "reasons",
    17: "nature",
    18: "people",
    19: "forces",
    20: "plants",
    21: "owning",
    22: "changes",
    23: "amounts",
    24: "relations",
    25: "shapes",
    26: "being",
    27: "substances",
    28: "periods",
}
#: Words that no line says after "it is a kind of" or "it is about": answers of a task.
UNSAID = (
    "action",
    "idea",
    "thought",
    "language",
    "speech",
    "event",
    "emotion",
    "money",
    "condition",
    "time",
)
#: Words that are one token each: answers of the tasks, and others that might be.
WORDS = (
    *UNSAID,
    *("animal", "plant", "food", "substance", "body", "organ", "tool", "device", "person"),
    *("place", "region", "activity", "act", "knowledge", "message", "feeling", "state", "wealth"),
    *ABOUT.values(),
)
#: Most words of a gloss, and most lemmas before it.
_MOST_WORDS, _MOST_LEMMAS = 24, 2
#: How often a line says one thing of a noun: what it is under, by steps; else its kind or topic.
_UNDER, _BOTH = 0.25, 0.25
#: Most steps, and what is above nearly everything.
_MOST_STEPS = 4
_VAGUE = {"entity", "physical entity", "abstraction", "object", "whole"}


def select_synsets(synsets: Sequence[Synset], kept_out: Collection[str]) -> list[Synset]:
    """Return what may be learnt from: synsets whose gloss is none of those kept out."""
    return [synset for synset in synsets if synset.gloss not in kept_out]


def make_line(synset: Synset, generator: random.Random) -> tuple[str, str]:
    """Return a gloss, with its words or without, and what is said of it, which may be nothing.

    Parameters
    ----------
    generator
        Decides what is said.
    """
    gloss = " ".join(synset.gloss.split()[:_MOST_WORDS])
    named = 1.0 if synset.part != "noun" else 0.35
    if generator.random() < named:
        gloss = f"{', '.join(synset.lemmas[:_MOST_LEMMAS])} : {gloss}"
    return f"{gloss} .", _say(synset, generator)


def _say(synset: Synset, generator: random.Random) -> str:
    if synset.part != "noun":
        return ""
    steps = [lemma for lemma in synset.chain if lemma not in _VAGUE][:_MOST_STEPS]
    if steps and generator.random() < _UNDER:
        return f"in general : {' , '.join(steps)} ."
    said = []
    kinds = [
        lemma
        for lemmas in synset.hypernyms[:1]
        for lemma in lemmas[:2]
        if not set(lemma.lower().split()) & set(UNSAID)
    ]
    if kinds:
        said.append(f"it is a kind of {kinds[0]} .")
    if synset.category in ABOUT:
        said.append(f"it is about {ABOUT[synset.category]} .")
    generator.shuffle(said)
    return " ".join(said if generator.random() < _BOTH else said[:1])
