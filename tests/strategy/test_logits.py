"""Probabilities, entropy and ties of a few logits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.strategy.logits import log_softmax, normalised_entropy, softmax, tied

LOGITS = st.lists(st.floats(-800, 800), min_size=1, max_size=8)


@given(LOGITS)
def test_probabilities_sum_to_one_and_keep_the_order(logits: list[float]) -> None:
    found = softmax(logits)
    assert math.fsum(found) == pytest.approx(1)
    assert found[logits.index(max(logits))] == max(found)
    for probability, logarithm in zip(found, log_softmax(logits), strict=True):
        assert math.isfinite(logarithm)
        assert math.exp(logarithm) == pytest.approx(probability, abs=1e-12)


@given(LOGITS)
def test_entropy_is_a_share(logits: list[float]) -> None:
    assert 0 <= normalised_entropy(logits) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("logits", "entropy"), [([3.0], 0.0), ([1.0, 1.0, 1.0], 1.0), ([900.0, 0.0], 0.0)]
)
def test_known_entropies(logits: list[float], entropy: float) -> None:
    assert normalised_entropy(logits) == pytest.approx(entropy)


def test_ties_are_close_runners_up() -> None:
    alphas = {"close": [0.0, 0.001, -3.0], "clear": [0.0, 1.0], "single": [0.0]}
    assert tied(alphas) == ["close"]
