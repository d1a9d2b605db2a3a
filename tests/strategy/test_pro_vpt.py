"""Moves that fit, layers that are drawn by their success, designs on the way."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space, fitting
from dpl_nas.strategy import ProVpt
from dpl_nas.strategy.pro_vpt import choose_layer, moves
from dpl_nas.testing import Bench, small_space

TRAIN = TrainSettings(epochs=1, batch_size=2)


def uneven(most: int, *lengths: int) -> Space:
    """Lengths with gaps."""
    layers = {"layers": [0, 6], "lengths": list(lengths)}
    return Space.model_validate(
        {"name": "uneven", "towers": {"image": layers, "text": layers}, "max_context_vectors": most}
    )


@settings(deadline=None)
@given(
    st.integers(0, 24).map(lambda most: uneven(most, 0, 1, 3)) | st.just(small_space(None)),
    st.integers(0, 2**32),
)
def test_moves_fit(space: Space, seed: int) -> None:
    before = fitting.sample(space, Random(seed)).by_label()
    for source, layers in moves(space, before).items():
        for layer, after in layers.items():
            space.architecture(after)
            changed = {label for label in before if after[label] != before[label]}
            assert changed == {source, layer}
            assert after[source] < before[source]
            assert after[layer] > before[layer]


def test_there_may_be_no_move() -> None:
    space = small_space(3)
    assert not moves(space, space.uniform(0).by_label())
    full = small_space(None)
    assert not moves(full, full.uniform(2).by_label())
    assert len(moves(full, full.uniform(1).by_label())) == 4
    # Three steps to the next length, for which there is no room.
    wide = uneven(3, 0, 1, 4)
    ones = {"image/0": 1, "image/6": 1, "text/0": 1, "text/6": 0}
    found = [(source, layer) for source, layers in moves(wide, ones).items() for layer in layers]
    assert found == [(source, "text/6") for source in ("image/0", "image/6", "text/0")]


def test_layers_are_drawn_by_their_success() -> None:
    labels = ["a", "b", "c"]
    # A layer that rose ten times, one that fell ten times, and one that was never given a vector.
    history: list[tuple[list[int], float]] = [([0, 0, 0], 0.0)]
    for step in range(10):
        history.append(([step + 1, step, 0], history[-1][1] + 1))
        history.append(([step + 1, step + 1, 0], history[-1][1] - 0.5))
    drawn = Counter(choose_layer(labels, labels, history, Random(seed)) for seed in range(300))
    assert drawn["a"] > 200
    assert drawn["b"] < 5 < drawn["c"]
    assert {choose_layer(["b"], labels, history, Random(seed)) for seed in range(9)} == {"b"}


def search(bench: Bench, space: Space, **more: Any) -> Any:
    budget = more.pop("budget", SearchBudget(trials=40))
    return ProVpt(**{"epochs": 8, "batch_size": 2, **more}).search(
        space, bench.task, budget, shots=4, train=TRAIN, backbone=bench.backbone
    )


def test_it_relocates(bench: Bench) -> None:
    space = small_space(3)
    result = search(bench, space, shortlist=9)
    tried = [each.architecture for each in result.evaluations]
    assert {each.vectors for each in tried} == {3}
    # It begins with the even design and goes on from there.
    assert fitting.even_design(space) in tried
    assert 1 < len(tried) <= 9
    # Eight epochs of two steps and two batches to validate; two steps a trial.
    assert result.cost.steps == 8 * 4 + 2 * len(tried)


def test_every_so_many_epochs(bench: Bench) -> None:
    result = search(bench, small_space(3), shortlist=9, every=4)
    # After epoch 4 there may be a move, and after epoch 8 no more.
    assert len(result.evaluations) <= 2
    assert result.cost.steps == 8 * 2 + 2 * 2 + 2 * len(result.evaluations)
    # The first validation would come after the last epoch.
    result = search(bench, small_space(3), shortlist=9, every=9)
    assert [each.architecture for each in result.evaluations] == [
        fitting.even_design(small_space(3))
    ]


def test_a_space_without_a_limit_begins_with_a_share(bench: Bench) -> None:
    assert search(bench, small_space(None), keep=0.25, epochs=1).architecture.vectors == 2
    # There is nothing to move, so nothing is paid but the trial.
    whole = search(bench, small_space(None), keep=1.0)
    assert whole.architecture.vectors == 8
    assert whole.cost.steps == 2


def test_settings() -> None:
    for wrong in ({"keep": 0.0}, {"every": 0}, {"shortlist": 0}, {"stages": 2}):
        with pytest.raises(ConfigError):
            ProVpt(**wrong)
