"""The vectors of all tokens: the file that ships, and its making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from dpl_nas.errors import CheckpointError
from dpl_nas.mini import words
from dpl_nas.mini.build_words import make_word_vectors
from dpl_nas.mini.vocabulary import VOCABULARY_SIZE, tokenizer
from dpl_nas.mini.words import WORD_DIMENSIONS, load_word_vectors, save_word_vectors


def _token(word: str) -> int:
    (token,) = tokenizer().encode(word)
    return token


def test_every_token_has_a_vector_that_is_not_zero() -> None:
    vectors = load_word_vectors()
    assert vectors.shape == (VOCABULARY_SIZE, WORD_DIMENSIONS)
    assert torch.isclose(vectors.std(), torch.tensor(1.0), atol=1e-3)
    assert (vectors.norm(dim=1) > 1).all()


def test_words_of_like_use_have_like_vectors() -> None:
    vectors = functional.normalize(load_word_vectors(), dim=1)

    def likeness(first: str, second: str) -> float:
        return float(vectors[_token(first)] @ vectors[_token(second)])

    assert likeness("dog", "cat") > 0.6
    assert likeness("truck", "tractor") > 0.6
    assert likeness("dog", "truck") < 0.4


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "words.safetensors"
    other.write_bytes(words.WORDS.read_bytes()[:-1])
    monkeypatch.setattr(words, "WORDS", other)
    with pytest.raises(CheckpointError, match=r"words\.safetensors is damaged or of another"):
        load_word_vectors.__wrapped__()


def test_tokens_are_words_parts_of_words_or_letters() -> None:
    draw = np.random.default_rng(0)
    known = ["dog", "cat", "house", "tree", "water", "green", "music", "river", "bread", "stone"]
    known += [f"{first}{second}" for first in "abcdefgh" for second in "stuvwxyz"]
    # The first parts of two long words are one token.
    parts = ["crossbeam", "crossbill"]
    vectors = draw.standard_normal((len(known) + 2, 60)).astype(np.float32)
    made = make_word_vectors([*known, *parts], vectors)
    assert made.shape == (VOCABULARY_SIZE, WORD_DIMENSIONS)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    shared = set(tokenizer().encode(parts[0])) & set(tokenizer().encode(parts[1]))
    assert shared
    part = made[min(shared)]
    ends = [made[_token(word)] for word in known[:10]]
    assert not any(np.allclose(part, end) for end in ends)
    again = make_word_vectors([*known, *parts], vectors)
    assert np.array_equal(made, again)


def test_saved_vectors_are_near_what_they_were(tmp_path: Path) -> None:
    vectors = torch.randn(100, WORD_DIMENSIONS, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "words.safetensors"
    first = save_word_vectors(path, vectors)
    assert save_word_vectors(path, vectors) == first
    assert first != save_word_vectors(path, 2 * vectors + 1)
