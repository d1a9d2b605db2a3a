from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.config import TrainSettings
from dpl_nas.engine import FewShotTrials, TrialSettings
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import Halving, SearchResult
from dpl_nas.strategy.halving import _affordable, _cost, rungs
from dpl_nas.testing import Bench, small_space
from dpl_nas.training.problem import Problem


@pytest.mark.parametrize(
    ("first", "eta", "last", "expected"),
    [
        (4, 3, 40, [4, 13, 40]),
        (1, 3, 27, [1, 3, 9, 27]),
        (2, 3, 27, [3, 9, 27]),
        (4, 2, 40, [5, 10, 20, 40]),
        (1, 2, 1, [1]),
        (40, 3, 40, [40]),
        (100, 3, 40, [40]),
        (1, 100, 40, [40]),
        (1, 2, 3, [1, 2, 3]),
    ],
)
def test_rungs(first: int, eta: int, last: int, expected: list[int]) -> None:
    assert rungs(first, eta, last) == expected


@given(st.integers(1, 50), st.integers(2, 10), st.integers(1, 300))
def test_rungs_rise_to_whole_trainings(first: int, eta: int, last: int) -> None:
    found = rungs(first, eta, last)
    assert found == sorted(set(found))
    assert found[-1] == last
    assert all(rung >= min(first, last) for rung in found)


@given(st.integers(1, 20), st.integers(2, 5), st.integers(1, 81), st.integers(0, 2000))
def test_as_many_candidates_as_the_budget_allows(
    first: int, eta: int, last: int, most: int
) -> None:
    epochs = rungs(first, eta, last)
    count = _affordable(epochs, eta, most)
    assert count == 0 or _cost(count, epochs, eta) <= most
    assert _cost(count + 1, epochs, eta) > most


TRAIN = TrainSettings(epochs=9, batch_size=2)


def search(bench: Bench, folder: Path | None = None, **settings: Any) -> SearchResult:
    """Nine epochs of two steps each are a whole trial."""
    budget = settings.pop("budget", SearchBudget(steps=2 * 45))
    return Halving(**{"eta": 3, "min_epochs": 1, **settings}).search(
        small_space(),
        bench.task,
        budget,
        shots=4,
        train=TRAIN,
        backbone=bench.backbone,
        folder=folder,
    )


def test_the_best_go_on(bench: Bench, tmp_path: Path) -> None:
    result = search(bench, tmp_path)
    by_epochs: dict[int, list[Any]] = {}
    for each in result.evaluations:
        by_epochs.setdefault(each.epochs, []).append(each)
    # 20 for one epoch, 6 of them for two more, 2 for six more: 44. From 21, it would be 47.
    assert {epochs: len(found) for epochs, found in by_epochs.items()} == {1: 20, 3: 6, 9: 2}
    assert result.cost.steps == 2 * (20 + 6 * 2 + 2 * 6) <= 90
    # No epoch is paid for twice.
    assert [{each.cost.steps for each in found} for found in by_epochs.values()] == [
        {2},
        {4},
        {12},
    ]
    for rung, following in ((1, 3), (3, 9)):
        ranked = sorted(by_epochs[rung], key=lambda each: (-each.score, each.number))
        kept = [each.architecture for each in ranked[: len(by_epochs[following])]]
        assert [each.architecture for each in by_epochs[following]] == kept
    assert result.architecture == result.ranking[0].architecture
    assert result.ranking[0].epochs == 9
    # States are no longer needed.
    assert not list((tmp_path / "trials").iterdir())


def test_a_budget_that_is_used_up_still_reaches_the_last_rung(bench: Bench) -> None:
    """What is left pays for the rest of a training, not for a whole one."""
    for epochs in (9, 11, 14, 23):
        result = search(bench, budget=SearchBudget(steps=2 * epochs))
        assert max(each.epochs for each in result.evaluations) == 9
        assert result.cost.steps <= 2 * epochs


def test_a_training_that_went_on_is_one_that_never_stopped(bench: Bench) -> None:
    result = search(bench)
    trials = FewShotTrials(
        TrialSettings(
            Problem.of(small_space(), bench.task, shots=4, recipe=TRAIN, backbone=bench.backbone)
        )
    )
    assert len(result.ranking) == 2
    for each in result.ranking:
        assert trials.run(each.architecture, 9)[0] == each.outcome


def test_a_space_smaller_than_the_budget_is_tried_whole(bench: Bench) -> None:
    result = search(bench, eta=9, budget=SearchBudget(trials=1000))
    assert sum(each.epochs == 1 for each in result.evaluations) == 31
    assert result.stopped_by == "strategy"


def test_less_than_a_whole_trial(bench: Bench) -> None:
    with pytest.raises(StrategyError, match="at least one whole trial of 18 training steps"):
        search(bench, budget=SearchBudget(steps=17))
    assert len(search(bench, budget=SearchBudget(steps=18)).ranking) == 1


def test_settings() -> None:
    for wrong in ({"eta": 1}, {"eta": 2.5}, {"min_epochs": 0}, {"epochs": 3}):
        with pytest.raises(ConfigError):
            Halving(**wrong)
