"""The tasks of texts: the files that ship, and their drawing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery.pack import hash_of
from dpl_nas.glosses import tasks
from dpl_nas.glosses.model import CONTEXT_LENGTH
from dpl_nas.glosses.tasks import HASHES, TASKS, draw_texts, file_of, load_texts, pack_texts
from dpl_nas.glosses.tokens import load_gloss_tokenizer
from dpl_nas.glosses.wordnet import Synset

FOLDER = Path(tasks.__file__).parent


@pytest.mark.parametrize("name", TASKS)
def test_the_shipped_files_are_small_and_as_stated(name: str) -> None:
    content = (FOLDER / file_of(name)).read_bytes()
    assert len(content) <= 150_000
    assert hash_of(content) == HASHES[name]
    assert pack_texts(load_texts(name)) == content


@pytest.mark.parametrize("name", TASKS)
def test_classes_are_of_one_size_and_no_text_is_twice(name: str) -> None:
    task = load_texts(name)
    assert task.name == name
    assert 6 <= len(task.classes) == len(set(task.verbalisers)) <= 8
    pool, test = (Counter(label for _, label in part) for part in (task.pool, task.test))
    assert set(pool) == set(test) == set(range(len(task.classes)))
    assert min(pool.values()) >= 100
    assert min(test.values()) >= 50
    texts = [text for text, _ in (*task.pool, *task.test)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", TASKS)
def test_texts_leave_room_for_eight_vectors(name: str) -> None:
    task = load_texts(name)
    codec = load_gloss_tokenizer()
    filled = [task.template.format(text=text) for text, _ in (*task.pool, *task.test)]
    assert max(len(row) for row in codec(filled)["input_ids"]) <= CONTEXT_LENGTH - 8


def _nouns(count: int) -> list[Synset]:
    sample = Synset("noun", "0", ("word",), 0, "", (), instance=False)
    return [
        replace(sample, category=category, gloss=f"gloss of kind {category} number {number}")
        for category in TASKS["glosses/nature"].categories.values()
        for number in range(count)
    ]


def test_drawing_follows_its_seed() -> None:
    nouns = _nouns(300)
    first = draw_texts("glosses/nature", nouns)
    assert draw_texts("glosses/nature", nouns) == first
    assert draw_texts("glosses/nature", nouns, seed=1) != first
    for text, label in (*first.pool, *first.test):
        category = TASKS["glosses/nature"].categories[first.classes[label]]
        assert f" {category} " in text


def test_instances_and_glosses_of_two_are_left_out() -> None:
    nouns = _nouns(230)
    spoilt = [replace(nouns[0], instance=True, gloss="a queen of long ago"), nouns[5], *nouns]
    drawn = draw_texts("glosses/nature", spoilt)
    texts = {text for text, _ in (*drawn.pool, *drawn.test)}
    assert "a queen of long ago" not in texts
    assert nouns[5].gloss not in texts
    with pytest.raises(ConfigError, match="WordNet has 219 texts of animal: 220 needed"):
        draw_texts("glosses/nature", _nouns(219))


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is no task 'glosses/none'"):
        load_texts("glosses/none")


def test_damage_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / file_of("glosses/acts")
    content = (FOLDER / path.name).read_bytes()
    path.write_bytes(content[:-9])
    monkeypatch.setattr(tasks, "_FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"acts\.json\.gz is damaged or of another version"):
        load_texts("glosses/acts")
    monkeypatch.setitem(HASHES, "glosses/acts", hash_of(content[:-9]))
    with pytest.raises(CheckpointError, match=r"acts\.json\.gz is damaged: install"):
        load_texts("glosses/acts")
