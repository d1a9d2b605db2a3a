"""Strategies that plan ahead what they spend: every budget is kept, or refused in a sentence."""

from typing import Any

import pytest

from dpl_nas.config import TrainSettings
from dpl_nas.errors import StrategyError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import DARTS, Adapt, Halving, OneShot, ProVpt, Strategy
from dpl_nas.testing import Bench, assert_sentence, counted_steps, small_space

#: Two steps an epoch of a trial and of a supernet; a whole trial is four.
TRAIN = TrainSettings(epochs=2, batch_size=2)
SUPERNET: dict[str, Any] = {"epochs": 3, "batch_size": 2}
ONE_SHOT = {**SUPERNET, "population_size": 2, "generations": 1, "shortlist": 2}


def search(strategy: Strategy, bench: Bench, budget: SearchBudget | None, **others: Any) -> Any:
    return strategy.search(
        small_space(),
        bench.task,
        budget,
        **{"shots": 4, "train": TRAIN, "backbone": bench.backbone, **others},
    )


@pytest.mark.parametrize(
    ("strategy", "least"),
    [
        # One trial.
        (Halving(min_epochs=1, eta=2), 4),
        # An epoch without and, after the warm-up, with alphas.
        (DARTS(**SUPERNET, warmup_epochs=2), 2),
        (DARTS(**SUPERNET, warmup_epochs=1, shortlist=2), 4),
        # A trial, an epoch, and two batches that validate a candidate.
        (OneShot(**ONE_SHOT), 8),
        # A trial and an epoch.
        (Adapt(**SUPERNET), 6),
        # A trial, an epoch, and two batches that validate it.
        (ProVpt(**SUPERNET, shortlist=1), 8),
    ],
    ids=["halving", "darts", "shortlist", "one_shot", "adapt", "pro_vpt"],
)
def test_any_budget_is_kept_or_refused(bench: Bench, strategy: Strategy, least: int) -> None:
    for steps in (1, least - 1, least, least + 1, 9, 11, 16, 23):
        with counted_steps() as taken:
            if steps < least:
                with pytest.raises(StrategyError, match=r"budget|at least one whole") as error:
                    search(strategy, bench, SearchBudget(steps=steps))
                assert_sentence(error.value)
                assert taken() == 0
                continue
            result = search(strategy, bench, SearchBudget(steps=steps))
            assert 0 < taken() <= result.cost.steps <= steps


def test_an_early_epoch_is_charged_for_what_it_takes(bench: Bench) -> None:
    result = search(DARTS(**SUPERNET, warmup_epochs=2), bench, SearchBudget(steps=5))
    # Two epochs of two prompt steps each: a third would take four.
    assert len(result.records) == 2
    assert result.cost.steps == 4
    assert result.stopped_by == "steps"


def test_a_supernet_that_ends_by_itself_needs_no_budget(bench: Bench) -> None:
    result = search(DARTS(**SUPERNET), bench, None)
    assert result.cost.steps == 12
    assert len(result.records) == 3
    assert result.stopped_by == "epochs"


def test_one_shot_spends_what_it_plans(bench: Bench) -> None:
    result = search(OneShot(**ONE_SHOT), bench, None)
    # Three epochs of two steps, four candidates at most of two batches each, two trials.
    assert result.cost.steps <= 3 * 2 + 4 * 2 + 2 * 4
    assert result.cost.steps >= 3 * 2 + 2 * 2 + 2 * 4
    assert len(result.evaluations) == 2
    assert result.stopped_by == "strategy"
