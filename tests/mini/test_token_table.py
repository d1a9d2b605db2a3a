"""Embeddings of tokens from word vectors and rows."""

from __future__ import annotations

import torch

from dpl_nas.mini.token_table import TokenTable
from dpl_nas.mini.vocabulary import VOCABULARY_SIZE
from dpl_nas.mini.words import load_word_vectors


def test_a_token_is_its_mapped_vector_and_its_row_if_it_has_one() -> None:
    tokens = torch.tensor([5, 900, 40_000])
    table = TokenTable(tokens, 8)
    ids = torch.tensor([[900, 901], [5, 40_000]])
    mapped = load_word_vectors()[ids] @ table.projection
    expected = mapped.clone()
    for (row, column), place in {(0, 0): 1, (1, 0): 0, (1, 1): 2}.items():
        expected[row, column] += table.rows[place]
    assert torch.allclose(table(ids), expected)
    assert torch.allclose(table(ids, torch.zeros(3)), mapped)
    assert table.whole().shape == (VOCABULARY_SIZE, 8)
    assert torch.allclose(table.whole()[ids], expected)


def test_only_what_was_learned_is_saved() -> None:
    table = TokenTable(torch.tensor([1, 2]), 4)
    assert {name: value.dtype for name, value in table.state_dict().items()} == {
        "projection": torch.float32,
        "rows": torch.float32,
        "tokens": torch.int32,
    }


def test_rows_that_are_left_out_get_no_gradient() -> None:
    table = TokenTable(torch.tensor([1, 2]), 4)
    table(torch.tensor([1, 2]), torch.tensor([0.0, 1.0])).sum().backward()
    assert table.rows.grad is not None
    assert table.rows.grad[0].abs().sum() == 0
    assert table.rows.grad[1].abs().sum() > 0
