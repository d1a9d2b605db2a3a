"""Trials of a search: order, cache, budgets, clocks, states, failures."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dpl_nas.engine import Evaluation, FewShotTrials, TrialEngine, TrialSettings, read_ledger
from dpl_nas.engine import account as account_module
from dpl_nas.errors import ArchitectureError, CheckpointError, OutputError, StrategyError
from dpl_nas.io.json_values import seal, unseal
from dpl_nas.observer import Observer
from dpl_nas.process.threads import count_threads
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture
from dpl_nas.testing import assert_sentence, small_space

SPACE = small_space()


def arch(*lengths: int) -> Architecture:
    return SPACE.architecture(
        dict(zip(("image/0", "image/6", "text/0", "text/6"), lengths, strict=True))
    )


A, B, C, D = arch(1, 0, 0, 0), arch(0, 2, 1, 0), arch(0, 0, 0, 2), arch(1, 1, 0, 1)


class Clock:
    """Stands in for the time of the engine; a trial takes ``tick`` seconds."""

    def __init__(self, start: float, tick: float = 3.0) -> None:
        self.now = start
        self.tick = tick

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is really trained, as it happens."""
    done: list[tuple[str, int]] = []
    run = FewShotTrials.run

    def noted(trials: FewShotTrials, architecture: Any, epochs: int, *others: Any) -> Any:
        done.append((architecture.describe(), epochs))
        return run(trials, architecture, epochs, *others)

    monkeypatch.setattr(FewShotTrials, "run", noted)
    monkeypatch.setattr(FewShotTrials, "stack_size", 1)
    return done


@pytest.fixture
def make(trial_settings: TrialSettings) -> Any:
    def made(budget: SearchBudget | None = None, **others: Any) -> TrialEngine:
        return TrialEngine(others.pop("settings", trial_settings), budget, **others)

    return made


@pytest.fixture
def threads_of_two_jobs() -> Iterator[None]:
    """Jobs share the cores, and other numbers of threads round sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count_threads(2))
    yield
    torch.set_num_threads(before)


def outcomes(found: list[Evaluation] | tuple[Evaluation, ...]) -> list[Any]:
    return [(each.architecture, each.epochs, each.outcome, each.error) for each in found]


def test_what_was_trained_costs_nothing(make: Any, runs: list[Any]) -> None:
    with make() as engine:
        first = engine.evaluate([A, B, A])
        assert outcomes(first[:1]) == outcomes(first[2:])
        again = engine.evaluate([B, A])
        assert again == [first[1], first[0]]
        assert len(runs) == len(engine.evaluations) == 2
        assert engine.spent.steps == 2 * engine.trial_cost.steps == 12
        assert engine.spent.images == 24
        # Fewer epochs are another trial.
        engine.evaluate([A], 1)
        assert engine.spent.steps == 14


@pytest.mark.usefixtures("threads_of_two_jobs")
def test_jobs_side_by_side_end_as_one_after_another(
    make: Any, tmp_path: Path, runs: list[Any]
) -> None:
    """In the order in which they were asked for, not that in which they end."""
    with make() as engine:
        # The last is done long before the first, as it has no vectors.
        alone = engine.evaluate([A, arch(0, 0, 0, 0), D])
    del runs[:]
    with make(folder=tmp_path, jobs=2) as engine:
        engine.submit(A)
        engine.submit(A)
        engine.submit(arch(0, 0, 0, 0))
        assert engine.waiting == 3
        assert engine.collect() == engine.collect()
        assert engine.waiting == 1
        together = [engine.evaluations[0], engine.collect(), *engine.evaluate([D])]
        assert outcomes(together) == outcomes(alone)
        assert [each.number for each in engine.evaluations] == [0, 1, 2]
    assert not runs
    assert [line["lengths"] for line in read_ledger(tmp_path / "ledger.jsonl")] == [
        {tower: list(part) for tower, part in each.architecture.lengths.items()} for each in alone
    ]
    # The ledger answers, whoever asks: nobody trains anything.
    with make(folder=tmp_path) as engine:
        assert outcomes(engine.evaluate([A, arch(0, 0, 0, 0), D])) == outcomes(alone)
    assert not runs


@pytest.mark.parametrize(
    ("budget", "trials", "reason"),
    [
        (SearchBudget(trials=2), 2, "trials"),
        (SearchBudget(steps=17), 2, "steps"),
        (SearchBudget(steps=18), 3, "steps"),
        (SearchBudget(trials=3, steps=13), 2, "trials"),
        (SearchBudget(trials=1, steps=100), 1, "trials"),
        (SearchBudget(seconds=1e9), 4, ""),
        (None, 4, ""),
    ],
)
def test_budgets(
    make: Any, budget: SearchBudget | None, trials: int, reason: str, runs: list[Any]
) -> None:
    with make(budget) as engine:
        assert len(engine.evaluate([A, B, C, D])) == trials == len(runs)
        assert engine.stopped_by == (reason or None)
        assert engine.affords() == (not reason)
        # What was made before, there always is.
        assert engine.evaluate([A]) == [engine.evaluations[0]]


def test_waiting_trials_count(make: Any) -> None:
    with make(SearchBudget(trials=2)) as engine:
        engine.submit(A)
        engine.submit(B)
        assert engine.steps_left == 0
        assert not engine.affords()
        engine.collect()
        engine.collect()
        assert engine.steps_left == 0
        with pytest.raises(IndexError):
            engine.collect()


def test_a_part_of_a_training_is_paid_by_its_steps(make: Any) -> None:
    """Seven steps: a whole trial is six, and two are one epoch."""
    with make(SearchBudget(steps=7)) as engine:
        assert len(engine.evaluate([A, B, C, D], 1)) == 3
        assert engine.spent.steps == 6
        assert not engine.affords()


def test_a_training_that_goes_on_pays_for_the_rest(
    make: Any, tmp_path: Path, trial_settings: TrialSettings
) -> None:
    with make() as engine:
        at_once = engine.evaluate([A])
    with make(SearchBudget(steps=8), folder=tmp_path) as engine:
        engine.evaluate([A, B], 1, goes_on=True)
        assert len(list((tmp_path / "trials").iterdir())) == 2
        assert engine.steps_left == 4
        # The rest of A is within the budget, where a whole trial is not.
        (gone_on,) = engine.evaluate([A, B], goes_on=True)
        assert gone_on.outcome == at_once[0].outcome
        assert gone_on.cost.steps == 4
        assert engine.spent.steps == 8
        engine.forget(A)
        engine.forget(B)
        engine.forget(C)
        assert not list((tmp_path / "trials").iterdir())


def test_states_need_no_folder(make: Any) -> None:
    with make() as engine:
        engine.evaluate([A], 1, goes_on=True)
        (gone_on,) = engine.evaluate([A], goes_on=True)
        assert gone_on.cost.steps == 4


def test_a_state_that_is_ahead_is_not_taken_for_less(make: Any) -> None:
    with make() as engine:
        expected = engine.evaluate([A], 1)
    with make() as engine:
        engine.evaluate([A], 3, goes_on=True)
        (found,) = engine.evaluate([A], 1, goes_on=True)
        assert found.outcome == expected[0].outcome
        assert found.cost.steps == 2


def test_what_failed_is_paid_for_anew(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    with make() as engine:
        with monkeypatch.context() as patch:
            patch.setattr(FewShotTrials, "run", fail)
            (failed,) = engine.evaluate([A], 1, goes_on=True)
        assert failed.error == "RuntimeError: out of luck"
        assert engine.evaluate([A], goes_on=True)[0].cost.steps == 6


def test_every_architecture_was_trained(make: Any) -> None:
    space = small_space(1)
    settings = {"settings": TrialSettings(make().settings.problem.having(space=space))}
    with make(SearchBudget(trials=100), **settings) as engine:
        from dpl_nas.space.fitting import enumerate_all

        designs = list(enumerate_all(space))
        engine.evaluate(designs[:-1])
        assert engine.affords()
        engine.evaluate(designs)
        assert engine.stopped_by == "exhausted"


def test_a_search_without_new_ideas_ends(make: Any) -> None:
    with make() as engine:
        found = list(itertools.islice(_while_affordable(engine), 10**4))
        assert len(found) == 1001
        assert engine.stopped_by == "repeats"
        assert engine.evaluate([B]) == []


def _while_affordable(engine: TrialEngine) -> Iterator[Evaluation]:
    while engine.affords():
        yield from engine.evaluate([A])


def test_the_clock_goes_on_after_a_resume(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[Any]
) -> None:
    """Ten seconds are four trials of three seconds, with or without an interruption."""
    run = FewShotTrials.run
    designs = [A, B, C, D, arch(2, 0, 0, 0), arch(0, 0, 2, 0)]

    def search(folder: Path, start: float, most: int = 99) -> tuple[Any, float, str]:
        clock = Clock(start)

        def ticking(*arguments: Any) -> Any:
            clock.now += clock.tick
            return run(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(account_module, "time", clock)
            patch.setattr(FewShotTrials, "run", ticking)
            with make(SearchBudget(seconds=10), folder=folder) as engine:
                found = engine.evaluate(designs[:most])
                return outcomes(found), engine.elapsed, engine.stopped_by or ""

    whole = search(tmp_path / "whole", 100.0)
    assert (len(whole[0]), *whole[1:]) == (4, 12.0, "seconds")
    _, elapsed, reason = search(tmp_path / "resumed", 5e6, most=2)
    assert (elapsed, reason) == (6.0, "")
    # The pause between does not count.
    assert search(tmp_path / "resumed", 9e6) == whole
    assert search(tmp_path / "resumed", 0.0) == whole
    assert len(runs) == 8


def test_charges_count_once(make: Any, tmp_path: Path) -> None:
    from dpl_nas.engine import Cost

    for _ in range(2):
        with make(SearchBudget(trials=2), folder=tmp_path) as engine:
            engine.charge("epoch 0", Cost(5, 50, 1.5))
            engine.charge("epoch 0", Cost(7, 70, 2.5))
            assert engine.spent == Cost(5, 50, 1.5)
            assert engine.steps_left == 7
            assert len(engine.evaluate([A, B])) == 1
    # What was paid for before is taken from there.
    with make(folder=tmp_path) as engine:
        engine.charge("epoch 0", Cost(0, 0, 0.0))
        assert engine.spent == Cost(5, 50, 1.5)
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == 2


@pytest.mark.parametrize(("allowed", "trials"), [(0.0, 4), (0.5, 5), (1.0, 6)])
def test_too_many_failures_end_it(
    make: Any, monkeypatch: pytest.MonkeyPatch, allowed: float, trials: int
) -> None:
    """Not before four trials; A and B end well, all others fail."""
    run = FewShotTrials.run

    def failing(trials: FewShotTrials, architecture: Architecture, *others: Any) -> Any:
        if architecture in (A, B):
            return run(trials, architecture, *others)
        raise RuntimeError("line one\nline two")

    monkeypatch.setattr(FewShotTrials, "run", failing)
    monkeypatch.setattr(FewShotTrials, "stack_size", 1)
    designs = [A, B, C, D, arch(2, 0, 0, 0), arch(0, 0, 2, 0)]
    with make(max_failed=allowed) as engine:
        if allowed < 1:
            with pytest.raises(StrategyError, match=rf"^\d of {trials} trials failed.*line one"):
                engine.evaluate(designs)
        else:
            engine.evaluate(designs)
        assert len(engine.evaluations) == trials
        assert engine.evaluations[-1].error is not None


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is trained side by side, as it happens; alone is a stack of one."""
    done: list[tuple[str, ...]] = []
    together, alone = FewShotTrials.run_stack, FewShotTrials.run

    def noted(trials: FewShotTrials, architectures: Any, *others: Any) -> Any:
        done.append(tuple(each.describe() for each in architectures))
        return together(trials, architectures, *others)

    def noted_alone(trials: FewShotTrials, architecture: Any, *others: Any) -> Any:
        done.append((architecture.describe(),))
        return alone(trials, architecture, *others)

    monkeypatch.setattr(FewShotTrials, "run_stack", noted)
    monkeypatch.setattr(FewShotTrials, "run", noted_alone)
    return done


def test_trials_side_by_side_end_as_alone(
    make: Any, stacks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make() as engine:
        assert engine.side_by_side > 4
        found = engine.evaluate([A, B, C, D])
    assert [len(each) for each in stacks] == [4]
    with monkeypatch.context() as patch, make() as engine:
        patch.setattr(engine, "_side_by_side", 1)
        expected = engine.evaluate([A, B, C, D])
    assert [len(each) for each in stacks[1:]] == [1] * 4
    for one, other in zip(found, expected, strict=True):
        assert one.outcome is not None
        assert other.outcome is not None
        assert one.outcome.accuracy == other.outcome.accuracy
        assert one.outcome.loss == pytest.approx(other.outcome.loss, rel=1e-5)
        assert one.cost.steps == other.cost.steps


def test_one_that_fails_spoils_no_other(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpl_nas.training.few_shot import FewShotTraining

    alone = FewShotTrials.run

    def together(*_: Any, **__: Any) -> Any:
        raise RuntimeError("one of them")

    def run(trials: FewShotTrials, architecture: Architecture, *others: Any) -> Any:
        if architecture == B:
            raise RuntimeError("its own fault")
        return alone(trials, architecture, *others)

    monkeypatch.setattr(FewShotTraining, "train_stack", together)
    monkeypatch.setattr(FewShotTrials, "run", run)
    with make() as engine:
        found = engine.evaluate([A, B, C])
    assert [each.error for each in found] == [None, "RuntimeError: its own fault", None]


def test_a_stack_that_was_cut_is_made_again(make: Any, stacks: list[Any], tmp_path: Path) -> None:
    with make(folder=tmp_path / "whole") as engine:
        whole = engine.evaluate([A, B, C, D])
    with make(folder=tmp_path / "cut") as engine:
        for each in (A, B, C, D):
            engine.submit(each)
        engine.collect()
        # Killed here: the ledger has one line of four.
    with make(folder=tmp_path / "cut") as engine:
        found = engine.evaluate([A, B, C, D])
    assert outcomes(found) == outcomes(whole)
    assert [len(each) for each in stacks] == [4, 4, 4]
    # What was measured with less budget stays, and is not trained again.
    with make(folder=tmp_path / "cut") as engine:
        found = engine.evaluate([A, B, C, D, arch(2, 0, 0, 0)])
    assert outcomes(found[:4]) == outcomes(whole)
    assert [len(each) for each in stacks[3:]] == [1]


def test_seconds_are_counted_after_each_trial(make: Any, stacks: list[Any]) -> None:
    with make(SearchBudget(seconds=1000)) as engine:
        assert engine.side_by_side == 1
        engine.evaluate([A, B])
    assert [len(each) for each in stacks] == [1, 1]


def test_what_does_not_belong_is_refused(make: Any) -> None:
    with make() as engine:
        with pytest.raises(ArchitectureError, match="costs 4 context vectors"):
            engine.submit(small_space(None).architecture(dict.fromkeys(_labels(), 1)))
        assert not engine.waiting


def _labels() -> list[str]:
    return [label for label, _, _ in SPACE.labels()]


def test_a_ledger_of_something_else_is_refused_and_released(make: Any, tmp_path: Path) -> None:
    with make(folder=tmp_path) as engine:
        engine.evaluate([A])
    other = TrialSettings(make().settings.problem.having(shots=6))
    with pytest.raises(OutputError, match=r"other settings \(shots, set of images\)"):
        make(folder=tmp_path, settings=other)
    path = tmp_path / "ledger.jsonl"
    content = path.read_bytes()
    with make(folder=tmp_path) as engine:
        assert len(engine.evaluate([A])) == 1
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"steps": -100}, "line 2 of .* greater than or equal to 0"),
        ({"steps": "a"}, "steps"),
        ({"steps": True}, "steps"),
        ({"step": 3}, "unknown key step"),
        ({"outcome": "abc"}, "outcome"),
        ({"outcome": [7.5, 0.1, 4]}, "outcome.0: .* less than or equal to 1"),
        ({"outcome": [float("nan"), 0.1, 4]}, "line 2 .* is damaged"),
        ({"outcome": None}, "either an outcome or an error"),
        ({"elapsed": float("inf")}, "line 2 .* is damaged"),
        ({"lengths": {"image": [9, 9], "text": [0, 0]}}, "image/0 has length 9"),
        ({"charge": "epoch 0"}, "unknown key"),
    ],
)
def test_lines_that_no_search_wrote(
    make: Any, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    with make(folder=tmp_path) as engine:
        engine.evaluate([A])
    path = tmp_path / "ledger.jsonl"
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{json.dumps(seal({**unseal(json.loads(line)), **change}))}\n")
    with pytest.raises(CheckpointError, match="use another folder") as error:
        make(folder=tmp_path)
    assert re.search(complaint, str(error.value))
    assert_sentence(error.value)
    # It was released: what is mended goes on.
    path.write_text(f"{head}\n{line}\n")
    with make(folder=tmp_path) as engine:
        assert len(engine.evaluate([A])) == 1


def test_observers_are_told(make: Any) -> None:
    class Told(Observer):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def begin(self, stage: str, total: int, done: int = 0) -> None:
            self.heard.append(("begin", stage, total))

        def advance(
            self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
        ) -> None:
            assert metrics["best"] >= metrics["validation_accuracy"] >= 0
            assert status
            self.heard.append(("advance", stage, done))

        def end(self, stage: str) -> None:
            self.heard.append(("end", stage))

    told = Told()
    with make(SearchBudget(trials=2), observer=told, stage="shortlist") as engine:
        engine.evaluate([A, B, C])
    assert told.heard == [
        ("begin", "shortlist", 2),
        ("advance", "shortlist", 1),
        ("advance", "shortlist", 2),
        ("end", "shortlist"),
    ]
    silent = Told()
    with make(observer=silent):
        pass
    assert not silent.heard


def test_trials_of_fewer_epochs_than_the_recipe(make: Any, trial_settings: TrialSettings) -> None:
    search = trial_settings.search.model_copy(update={"trial_share": 0.4})
    short = replace(trial_settings, search=search)
    with make(SearchBudget(trials=1), settings=short) as engine:
        # The budget pays for one training of three epochs.
        found = engine.evaluate([A, B, C, D])
        assert [each.epochs for each in found] == [1, 1, 1]
        assert engine.stopped_by == "trials"
        assert engine.trial_cost.steps * 3 == engine.spent.steps
    # The learning rate falls to its end within the trial, not by the recipe's own epochs.
    recipe = trial_settings.problem.recipe.model_copy(update={"epochs": 1})
    alone = replace(trial_settings, problem=trial_settings.problem.having(recipe=recipe))
    with make(settings=alone) as engine:
        assert outcomes(engine.evaluate([A, B, C])) == outcomes(found)
    least = replace(trial_settings, search=search.model_copy(update={"trial_share": 0.01}))
    assert (least.epochs, trial_settings.epochs) == (1, 3)
