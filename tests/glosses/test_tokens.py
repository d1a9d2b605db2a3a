"""The tokenizer: its training and the file that ships."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery.pack import hash_of
from dpl_nas.glosses import tokens
from dpl_nas.glosses.lines import WORDS
from dpl_nas.glosses.tasks import TASKS
from dpl_nas.glosses.tokens import (
    TOKENIZER,
    TOKENIZER_HASH,
    VOCABULARY_SIZE,
    load_gloss_tokenizer,
    train_tokenizer,
)


def test_the_shipped_file_is_small_and_as_stated() -> None:
    content = TOKENIZER.read_bytes()
    assert len(content) <= 250_000
    assert hash_of(content) == TOKENIZER_HASH
    assert len(load_gloss_tokenizer()) == VOCABULARY_SIZE


def test_texts_begin_with_a_token_and_are_filled_up_with_another() -> None:
    codec = load_gloss_tokenizer()
    told = codec(["a dog", "A large DOG that barks"], padding=True)
    assert set(told) == {"input_ids", "attention_mask"}
    rows = told["input_ids"]
    assert {row[0] for row in rows} == {1}
    assert rows[0][-1] == 0
    assert codec.decode(rows[1], skip_special_tokens=True).strip() == "a large dog that barks"


def test_it_loads_as_any_tokenizer_of_transformers() -> None:
    from transformers import PreTrainedTokenizerFast

    codec = PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER))
    text = "{a} odd: text, with 12 signs é"
    assert codec(text)["input_ids"] == load_gloss_tokenizer()(text)["input_ids"]


def test_words_that_answer_are_one_token_each() -> None:
    codec = load_gloss_tokenizer()
    answers = [word for plan in TASKS.values() for word in plan.verbalisers]
    for word in {*WORDS, *answers}:
        alone = codec(word, add_special_tokens=False)["input_ids"]
        assert len(alone) == 1, word
        assert codec(f"it is a kind of {word}")["input_ids"][-1] == alone[0]


def test_training_gives_the_same_bytes_again() -> None:
    texts = ["a dog that barks", "a cat that purrs", "a dog and a cat"]
    first = train_tokenizer(texts, ["animal"], 300)
    assert train_tokenizer(texts, ["animal"], 300) == first
    with pytest.raises(ConfigError, match="is not one token of 262: give more tokens"):
        train_tokenizer(texts, ["animal", "extraordinary"], 262)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.json is"):
        load_gloss_tokenizer(path)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    text = train_tokenizer(["a dog"], [], 280)
    path.write_text(text.replace("<bos>", "<start>"))
    with pytest.raises(CheckpointError, match="is not the tokenizer of the gloss decoder"):
        load_gloss_tokenizer(path)


def test_damage_to_the_shipped_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(TOKENIZER.read_text().replace('"add_prefix_space":true', ""))
    monkeypatch.setattr(tokens, "TOKENIZER", path)
    with pytest.raises(CheckpointError, match="is damaged or of another version: install"):
        load_gloss_tokenizer()


def test_without_transformers_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] in {"tokenizers", "transformers"}:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(ConfigError, match=r"pip install 'dpl_nas\[hf\]'"):
        load_gloss_tokenizer()
    with pytest.raises(ConfigError, match=r"pip install 'dpl_nas\[hf\]'"):
        train_tokenizer(["a dog"], [])
