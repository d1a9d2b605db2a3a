"""What the shipped model does on its tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dpl_nas.glosses.gates import GlossReport, find_verbalisers, measure, read_out
from dpl_nas.glosses.model import load_gloss_decoder
from dpl_nas.glosses.tasks import TASKS, load_texts
from dpl_nas.glosses.tokens import load_gloss_tokenizer


@pytest.mark.parametrize("name", TASKS)
def test_the_shipped_model_reaches_its_gates_on_a_part(name: str) -> None:
    report = measure(load_texts(name), most=40, draws=3)
    assert report.texts == 40 * len(load_texts(name).classes)
    assert report.passed, report


def test_what_is_read_depends_on_no_other_text() -> None:
    model, codec, task = load_gloss_decoder(), load_gloss_tokenizer(), load_texts("glosses/nature")
    texts = [text for text, _ in task.pool[:100:9]]
    logits, states = read_out(model, codec, task, texts)
    for place in (0, 5, 11):
        alone, state = read_out(model, codec, task, texts[place : place + 1])
        assert torch.allclose(alone[0], logits[place], atol=1e-4)
        assert torch.allclose(state[0], states[place], atol=1e-4)
    tokens = torch.tensor([codec(task.template.format(text=texts[0]))["input_ids"]])
    with torch.no_grad():
        whole = model(tokens).logits[0, -1, find_verbalisers(task, codec)]
    assert torch.allclose(whole, logits[0], atol=1e-4)


def test_another_question_gives_another_answer() -> None:
    task = load_texts("glosses/nature")
    other = replace(task, template="{text} and")
    assert measure(task, most=10, draws=1) != measure(other, most=10, draws=1)


def test_gates_are_on_knowledge_and_on_what_is_left_to_learn() -> None:
    report = GlossReport("t", 10, chance=12.5, zero_shot=30.0, probe=50.0, spread=1.0)
    assert report.passed
    assert not replace(report, zero_shot=20.0).passed
    assert not replace(report, probe=41.0).passed
