"""The finals of a search: what won by luck on one half of the shots is seen on the other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpl_nas import SearchBudget
from dpl_nas.backbone import Backbone
from dpl_nas.config import SearchSettings, TrainSettings
from dpl_nas.engine import Outcome, TrialEngine, TrialSettings
from dpl_nas.engine.trials import FewShotTrials
from dpl_nas.space import Space
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy import make_strategy
from dpl_nas.strategy.finals import Finals
from dpl_nas.strategy.near_ties import usual_design
from dpl_nas.strategy.random import Random
from dpl_nas.strategy.result import SearchResult
from dpl_nas.tasks import load_task
from dpl_nas.testing import story
from dpl_nas.training.problem import Problem

HALVES = SearchSettings(trial_share=0.5)


@pytest.fixture(scope="module")
def problem(small_space: Space, small_backbone: Backbone, image_folder: Path) -> Problem:
    recipe = TrainSettings(epochs=4, batch_size=4)
    return Problem.of(
        small_space, load_task(image_folder), shots=6, recipe=recipe, backbone=small_backbone
    )


def searched(problem: Problem, folder: Path | None = None, **more: Any) -> SearchResult:
    strategy = Random(trial_share=0.5, portfolio=2, **{"finalists": 3, **more})
    return strategy.search(problem, SearchBudget(trials=8), folder=folder)


def planned(problem: Problem, settings: SearchSettings, budget: str | None, count: int) -> Finals:
    limits = None if budget is None else SearchBudget.parse(budget)
    with TrialEngine(TrialSettings(problem, settings), limits) as engine:
        return Finals.of(engine, count)


def test_they_take_a_fifth_of_the_budget_at_most(problem: Problem) -> None:
    # A trial of half the epochs on half of the shots costs half a training on these.
    assert planned(problem, HALVES, None, 8).finalists == 8
    assert planned(problem, HALVES, "20-trials", 8).finalists == 8
    found = planned(problem, HALVES, "10-trials", 8)
    assert found.finalists == 4
    assert found.steps == 4 * found.cost.steps
    # One alone has nobody to be compared with.
    assert planned(problem, HALVES, "3-trials", 8).finalists == 0
    assert planned(problem, HALVES, "20-trials", 0).finalists == 0


@pytest.mark.parametrize("split", [{"validation": "extra"}, {"validation_shots": 1}])
def test_there_are_none_without_halves(problem: Problem, split: dict[str, Any]) -> None:
    assert planned(problem, SearchSettings(**split), None, 8).finalists == 0


def test_the_halves_are_exchanged(problem: Problem) -> None:
    trials = TrialSettings(problem, HALVES)
    exchanged = replace(trials, exchanged=True)
    assert exchanged.split.train == trials.split.validation
    assert exchanged.split.validation == trials.split.train
    assert exchanged.split.shots == trials.split.shots
    assert exchanged.identity() != trials.identity()
    assert exchanged.cost() == FewShotTrials(exchanged).cost(exchanged.epochs)


def test_what_does_best_on_both_halves_is_chosen(problem: Problem) -> None:
    found = searched(problem)
    assert len(found.finals) == 3
    best = found.finals[0]
    assert found.architecture == best.architecture
    assert [each.score for each in found.finals] == sorted(
        (each.score for each in found.finals), reverse=True
    )
    assert found.validation_accuracy == best.accuracy
    # The best trials are finalists, and the best manual design is one in any case.
    ranked = [each.architecture for each in found.ranking]
    finalists = {each.architecture for each in found.finals}
    manual = next(each for each in ranked if each in portfolio(problem.space).values())
    assert finalists == set(ranked[:3]) or finalists == {*ranked[:2], manual}
    assert found.compared is not None
    assert best.outcome is not None
    assert best.outcome.images == len(problem.shot_rows)
    # The other half is that of a trial by itself.
    exchanged = replace(TrialSettings(problem, HALVES), exchanged=True)
    other, _ = FewShotTrials(exchanged).run(best.architecture, exchanged.epochs)
    one = next(each.outcome for each in found.ranking if each.number == best.number)
    assert one is not None
    assert best.outcome.right == one.right + other.right
    assert best.outcome.losses == pytest.approx(one.losses + other.losses, abs=1e-5)
    assert best.outcome.loss == pytest.approx((one.loss + other.loss) / 2, abs=1e-5)
    assert found.summary().finalists == 3


def test_the_usual_design_is_a_finalist_and_wins_near_ties(problem: Problem) -> None:
    free = problem.having(space=problem.space.without_limits())
    usual = usual_design(free.space)
    assert usual is not None
    found = searched(free, finalists=2, margin=1e6)
    assert found.architecture == usual
    assert len(found.finals) == 2
    assert usual in {each.architecture for each in found.finals}
    best = searched(free, finalists=2)
    assert best.architecture == best.finals[0].architecture


def test_they_are_paid_for(problem: Problem) -> None:
    found, without = searched(problem), searched(problem, finalists=0)
    most = 8 * problem.recipe.epochs * 3
    assert without.cost.steps <= most
    assert found.cost.steps <= most
    assert len(found.evaluations) < len(without.evaluations)
    spent = sum(each.cost.steps for each in found.evaluations)
    assert found.cost.steps == spent + 3 * found.trial_steps
    assert not without.finals
    assert without.deciding == without.ranking


def test_a_search_that_was_killed_in_its_finals_goes_on(problem: Problem, tmp_path: Path) -> None:
    whole = searched(problem, tmp_path)
    again = searched(problem, tmp_path)
    assert story(again) == story(whole)
    assert again.cost.steps == whole.cost.steps
    # Killed after the first final, before the search was charged for them.
    finals = tmp_path / "finals" / "ledger.jsonl"
    lines = finals.read_bytes().splitlines(keepends=True)
    finals.write_bytes(b"".join(lines[:2]))
    ledger = tmp_path / "ledger.jsonl"
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b"finals" not in line]
    ledger.write_bytes(b"".join(kept))
    resumed = searched(problem, tmp_path)
    assert story(resumed) == story(whole)
    assert resumed.cost.steps == whole.cost.steps


def test_finals_that_all_fail_leave_the_trials(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, run_stack = FewShotTrials.run, FewShotTrials.run_stack

    def broken(self: FewShotTrials, *arguments: Any, **more: Any) -> tuple[Outcome, float]:
        if self._settings.exchanged:
            raise RuntimeError("broken")
        return run(self, *arguments, **more)

    def broken_stack(self: FewShotTrials, *arguments: Any) -> list[tuple[Outcome, float]]:
        if self._settings.exchanged:
            raise RuntimeError("broken")
        return run_stack(self, *arguments)

    monkeypatch.setattr(FewShotTrials, "run", broken)
    monkeypatch.setattr(FewShotTrials, "run_stack", broken_stack)
    found = searched(problem)
    assert found.finals == ()
    assert found.architecture == found.ranking[0].architecture


def test_presets_take_the_setting(problem: Problem) -> None:
    from dpl_nas.config import load_strategy

    preset = load_strategy("bayesian")
    settings = preset.search.model_copy(update={"finalists": 2})
    strategy = make_strategy(preset.model_copy(update={"search": settings}))
    assert strategy.search(problem, SearchBudget(trials=6)).finals
