"""What the model learns from, and what it never sees."""

from __future__ import annotations

import random
from dataclasses import replace

from dpl_nas.glosses.lines import ABOUT, UNSAID, make_line, select_synsets
from dpl_nas.glosses.tasks import TASKS
from dpl_nas.glosses.wordnet import Synset


def test_a_line_has_the_gloss_and_says_what_it_is(synsets: list[Synset]) -> None:
    generator = random.Random(0)
    lines = [make_line(synsets[0], generator) for _ in range(200)]
    gloss = synsets[0].gloss
    assert {first for first, _ in lines} == {f"{gloss} .", f"thing 0, dog : {gloss} ."}
    kind, about = "it is a kind of animal .", f"it is about {ABOUT[4]} ."
    assert {said for _, said in lines} == {kind, about, f"{kind} {about}", f"{about} {kind}"}


def test_of_other_parts_of_speech_nothing_is_said(synsets: list[Synset]) -> None:
    assert make_line(synsets[-1], random.Random(0)) == (
        f"thing 239, dog : {synsets[-1].gloss} .",
        "",
    )


def test_answers_of_a_task_are_never_said(synsets: list[Synset]) -> None:
    assert set(TASKS["glosses/acts"].verbalisers) <= set(UNSAID)
    assert not set(ABOUT.values()) & set(UNSAID)
    generator = random.Random(0)
    for hypernyms in ((("event",),), (("Social event", "happening"),), ()):
        synset = replace(synsets[0], hypernyms=hypernyms)
        for _ in range(50):
            _, said = make_line(synset, generator)
            assert not set(said.lower().split()) & set(UNSAID)
    synonym = replace(synsets[0], hypernyms=(("event", "happening"),))
    said = {make_line(synonym, random.Random(seed))[1] for seed in range(20)}
    assert "it is a kind of happening ." in said


def test_what_tasks_show_is_left_out(synsets: list[Synset]) -> None:
    left = select_synsets(synsets, {synsets[0].gloss, synsets[3].gloss})
    assert len(left) == len(synsets) - 2
    assert synsets[0] not in left
