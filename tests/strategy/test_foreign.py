"""Strategies of NNI as they are: their generators, their locks, their exports."""

from importlib.util import find_spec
from typing import Any

import pytest
from nni.nas import strategy as nni_strategy

from dpl_nas.config import SearchSettings, TrainSettings
from dpl_nas.errors import StrategyError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import Strategy, from_nni
from dpl_nas.testing import Bench, assert_sentence, small_space, story


def search(strategy: Strategy, bench: Bench, **others: Any) -> Any:
    return strategy.search(
        small_space(),
        bench.task,
        **{
            "budget": SearchBudget(trials=2),
            "shots": 4,
            "train": TrainSettings(epochs=1, batch_size=2),
            "backbone": bench.backbone,
            **others,
        },
    )


def test_the_tuner_of_nni(bench: Bench) -> None:
    """It has a lock, a generator of its own, and no idea of the budget of a space."""
    with pytest.raises(StrategyError, match=r"TPE asked .*at most 3 context vectors") as error:
        # NNI's own draws need not fit: this is why our TPE draws for itself.
        search(from_nni(nni_strategy.TPE()), bench, seed=3)
    assert_sentence(error.value)


def test_the_tuner_of_nni_without_a_budget(bench: Bench) -> None:
    found = [
        from_nni(nni_strategy.TPE()).search(
            small_space(None),
            bench.task,
            SearchBudget(trials=1),
            shots=4,
            seed=seed,
            train=TrainSettings(epochs=1, batch_size=2),
            backbone=bench.backbone,
        )
        for seed in (1, 1, 2)
    ]
    assert story(found[0]) == story(found[1])
    assert found[0].architecture != found[2].architecture


def test_what_is_handed_over_stays_as_it_is(bench: Bench) -> None:
    given = nni_strategy.RegularizedEvolution(population_size=2, sample_size=1)
    state = given._random_state.get_state()[1].tolist()
    strategy = from_nni(given)
    assert story(search(strategy, bench)) == story(search(strategy, bench))
    assert given._random_state.get_state()[1].tolist() == state
    assert not given._population


def test_settings_of_the_validation(bench: Bench) -> None:
    strategy = from_nni(
        nni_strategy.Random(), SearchSettings(validation="extra", validation_shots=1)
    )
    assert search(strategy, bench).labels_seen == 10


@pytest.mark.parametrize("objective", ["accuracy", "pareto"])
def test_what_it_maximises(bench: Bench, objective: str) -> None:
    """The accuracy with its ties broken; for the front, something else than that."""
    told: list[tuple[int, float]] = []

    class Telling(nni_strategy.Random):  # type: ignore[misc]
        def _run(self) -> None:
            super()._run()
            self.engine.wait_models()
            told.extend(
                (sum(map(int, model.sample.values())), model.metric) for model in self.list_models()
            )

    result = search(from_nni(Telling()), bench, budget=SearchBudget(trials=4), objective=objective)
    scores = [(each.architecture.vectors, each.score) for each in result.evaluations]
    assert sorted(vectors for vectors, _ in told) == sorted(vectors for vectors, _ in scores)
    assert [metric for _, metric in told] == sorted((m for _, m in told), reverse=True)
    assert (sorted(told) == sorted(scores)) == (objective == "accuracy")


@pytest.mark.skipif(find_spec("tianshou") is not None, reason="ENAS has what it needs")
def test_a_strategy_of_nni_that_needs_another_package(bench: Bench) -> None:
    with pytest.raises(
        StrategyError, match=r"ENAS needs a package .*tianshou.* install it"
    ) as error:
        search(from_nni(nni_strategy.ENAS()), bench, budget=SearchBudget(steps=9))
    assert_sentence(error.value)


@pytest.mark.parametrize("kind", ["DARTS", "GumbelDARTS", "RandomOneShot"])
def test_one_shot_strategies_of_nni(bench: Bench, kind: str) -> None:
    """Two steps of a supernet an epoch, paid for as four."""
    found = [
        search(
            from_nni(getattr(nni_strategy, kind)()), bench, budget=SearchBudget(steps=9), seed=seed
        )
        for seed in (1, 1)
    ]
    assert story(found[0]) == story(found[1])
    small_space().check(found[0].architecture)
    assert found[0].cost.steps == 8
    assert found[0].validation_accuracy is None
    assert found[0].summary().evaluations == 0
