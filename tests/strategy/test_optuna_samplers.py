"""Samplers of Optuna as they are; where it is not installed, a sentence says so."""

import sys
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.config import SearchSettings, TrainSettings
from dpl_nas.errors import StrategyError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import fitting
from dpl_nas.strategy import Strategy, from_optuna
from dpl_nas.strategy.optuna_samplers import nearest
from dpl_nas.testing import Bench, StrategyConformance, assert_sentence, small_space, story

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="needs optuna")


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "optuna.samplers", None)
    with pytest.raises(StrategyError, match=r"pip install '\.\[optuna\]'") as error:
        from_optuna(object())
    assert_sentence(error.value)


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_the_nearest_that_fits(lengths: list[int]) -> None:
    space = small_space()
    asked = dict(zip((label for label, _, _ in space.labels()), lengths, strict=True))

    def distance(found: dict[str, int]) -> int:
        return sum(abs(length - asked[label]) for label, length in found.items())

    everything = fitting.enumerate_all(space)
    least = min(distance(each.by_label()) for each in everything)
    assert distance(nearest(space, asked).by_label()) == least
    assert (least == 0) == (sum(lengths) <= 3)


@needs_optuna
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
class TestOptuna(StrategyConformance):
    refuses_settings = False

    def make(self, **settings: Any) -> Strategy:
        from optuna.samplers import TPESampler

        return from_optuna(TPESampler(n_startup_trials=2, **settings))


def search(strategy: Strategy, bench: Bench, **others: Any) -> Any:
    return strategy.search(
        small_space(others.pop("limit", 3)),
        bench.task,
        others.pop("budget", SearchBudget(trials=6)),
        shots=4,
        train=TrainSettings(epochs=1, batch_size=2),
        backbone=bench.backbone,
        **others,
    )


@needs_optuna
@pytest.mark.parametrize("name", ["RandomSampler", "TPESampler", "NSGAIISampler", "QMCSampler"])
@pytest.mark.filterwarnings("ignore")
def test_the_seed_of_the_search_decides(bench: Bench, name: str) -> None:
    """Not that of the sampler, nor what it was used for before."""
    import optuna

    kind = getattr(optuna.samplers, name)
    strategy = from_optuna(kind(seed=1))
    found = story(search(strategy, bench))
    assert len(found["evaluations"]) == 6
    assert story(search(strategy, bench)) == found
    assert story(search(from_optuna(kind(seed=2)), bench)) == found
    assert story(search(strategy, bench, seed=2)) != found


@needs_optuna
def test_a_sampler_that_ends(bench: Bench) -> None:
    """A grid of three, two of which fit to the same architecture."""
    import optuna

    grid = {label: [0] for label, _, _ in small_space().labels()} | {"image/0": [0, 1, 2]}
    result = search(from_optuna(optuna.samplers.GridSampler(grid)), bench, limit=1)
    assert sorted(each.architecture.vectors for each in result.evaluations) == [0, 1]
    assert result.stopped_by == "strategy"


@needs_optuna
def test_trials_side_by_side(bench: Bench) -> None:
    import optuna

    strategy = from_optuna(optuna.samplers.RandomSampler(), SearchSettings(validation_shots=1))
    alone = search(strategy, bench, budget=SearchBudget(trials=3))
    two = search(strategy, bench, budget=SearchBudget(trials=3), jobs=2)
    # Random draws do not depend on results.
    assert [each.architecture for each in two.evaluations] == [
        each.architecture for each in alone.evaluations
    ]
    assert two.labels_seen == 8


@needs_optuna
def test_only_samplers(bench: Bench) -> None:
    with pytest.raises(StrategyError, match="expects a sampler") as error:
        from_optuna("TPESampler")
    assert_sentence(error.value)
