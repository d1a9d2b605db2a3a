"""The FLOPs of a step, against a count by hand."""

import torch

from benchmarks.floor import PeakRate, Rows, image_rows, shared_prefix, text_rows, tower_flops


def test_rows_of_images() -> None:
    # Each of 3 tokens sees 3; the class token is read.
    assert image_rows(2, 3) == Rows(tokens=6, pairs=18, read=2, read_pairs=6)


def test_rows_of_texts() -> None:
    # 2 shared tokens see 1 and 2. A caption's own see 3; another's see 3 and 4.
    assert text_rows(2, [1, 2]) == Rows(tokens=5, pairs=3 + 3 + 7, read=2, read_pairs=3 + 4)


def test_the_shared_prefix() -> None:
    tokens = torch.tensor([[7, 1, 2, 3, 9, 0], [7, 1, 4, 9, 0, 0]])
    assert shared_prefix(tokens) == (2, [3, 2])
    # The end of text is the caption's own, also where the captions are the same.
    assert shared_prefix(tokens[:1]) == (4, [1])


def test_two_layers_by_hand() -> None:
    """One image of 3 tokens, width 10, 2 context vectors; multiply-adds in each line."""
    rows = image_rows(1, 3)
    first_forward = (
        3 * 300  # queries, keys, values
        + 9 * 10 * 2  # scores and values among tokens
        + 3 * 2 * 10 * 2  # of the contexts
        + 3 * 100  # output projection
        + 3 * 800  # MLP
    )
    last_forward = (
        3 * 200 + 100  # keys and values of all, the query of one
        + 3 * 10 * 2
        + 2 * 10 * 2
        + 100
        + 800
    )  # fmt: skip
    contexts = 2 * 200  # keys and values of two vectors
    last_backward = (
        800 + 100  # MLP, output projection
        + 2 * 10 * 4  # to values, shares, keys and queries of the contexts
        + 3 * 10 * 4  # the same among tokens
        + 3 * 200 + 100  # keys and values of all, the query of one
        + contexts
    )  # fmt: skip
    # Nothing goes to the tokens below: no queries, and nothing among tokens.
    first_backward = 3 * 800 + 3 * 100 + 3 * 2 * 10 * 3 + contexts

    def flops(*, gradient: bool) -> int:
        return tower_flops(rows, layers=2, width=10, vectors=2, gradient=gradient)

    forward = first_forward + last_forward
    assert flops(gradient=False) == 2 * forward
    assert flops(gradient=True) == 2 * (forward + 2 * contexts + first_backward + last_backward)


def test_the_peak_rate() -> None:
    rate = PeakRate(((300, 64, 300), (300, 300, 64)))
    rate.sample()
    # Any machine; far from it if the units were wrong.
    assert 1e8 < rate.flops_per_second() < 1e15
