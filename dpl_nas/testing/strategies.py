"""Conformance tests of search strategies, to inherit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.config import TrainSettings
from dpl_nas.engine import FewShotTrials, Ledger, Outcome, read_ledger
from dpl_nas.errors import ConfigError, OutputError, StrategyError
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.run_files import LEDGER
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.result import SearchResult
from dpl_nas.strategy.search import Search
from dpl_nas.tasks import few_shot_split
from dpl_nas.testing.small import (
    Bench,
    OnSquares,
    assert_sentence,
    counted_steps,
    global_generators,
    of_class,
    small_space,
)

__all__ = ["StrategyConformance", "Whole", "ledger_of", "story"]

#: Keys of a ledger's line that depend on the clock and the machine.
_MEASURED = {"seconds", "elapsed", "peak_bytes"}
_REASON = "the test lets this trial fail"


@dataclass(frozen=True)
class Whole:
    """A search that nothing interrupted, and where its ledger is."""

    result: SearchResult
    folder: Path

    __repr__ = short_repr


# pytest is about to do away with methods that are fixtures of a whole class.
_WHOLE = pytest.StashKey[Whole]()


def story(result: SearchResult, *, losses: bool = True) -> dict[str, Any]:
    """Return the parts of a result that the seed decides, without times and machine facts.

    Losses may be left out, too: they depend on which trials were side by side.
    """
    return {
        "architecture": result.architecture.describe(),
        "evaluations": [
            (
                each.number,
                each.architecture.describe(),
                each.epochs,
                each.outcome if losses else _without_losses(each.outcome),
                each.error,
                (each.cost.steps, each.cost.images),
                (each.spent.steps, each.spent.images),
            )
            for each in result.evaluations
        ],
        "finals": [
            (each.number, each.outcome if losses else _without_losses(each.outcome))
            for each in result.finals
        ],
        "cost": (result.cost.steps, result.cost.images),
        "records": result.records,
        "stopped_by": result.stopped_by,
        "labels_seen": result.labels_seen,
    }


def _without_losses(outcome: Outcome | None) -> Outcome | None:
    return None if outcome is None else replace(outcome, loss=0.0, losses=())


def ledger_of(folder: AnyPath) -> list[dict[str, Any]]:
    """The lines of a search's ledger, without what the clock and the machine add."""
    return [
        {key: value for key, value in line.items() if key not in _MEASURED}
        for line in read_ledger(Path(folder) / LEDGER)
    ]


class StrategyConformance(OnSquares):
    """Tests that hold for every strategy: inherit them and write :meth:`make`.

    Attributes
    ----------
    space
        Search space; trials on it take a fraction of a second.
    budget
        Budget of most searches; enough for a few whole trials and, where the strategy trains a
        supernet, for that.
    tight_budgets
        Limits that must hold to the step.
    train
        The recipe of a trial.
    shots
        Images per class; half of them validate.
    refuses_settings
        Whether a setting that does not exist is noticed.
    """

    budget: SearchBudget = SearchBudget(trials=5)
    tight_budgets: tuple[SearchBudget, ...] = (SearchBudget(trials=3), SearchBudget(steps=19))
    train: TrainSettings = TrainSettings(epochs=2, batch_size=2)
    shots: int = 4
    refuses_settings: bool = True

    def make(self, **settings: Any) -> Strategy:
        """A strategy, configured for small searches; ``settings`` are put over its own."""
        raise NotImplementedError

    def search(self, bench: Bench, folder: AnyPath | None = None, **changes: Any) -> SearchResult:
        """A search with the settings of this class, but for ``changes``."""
        arguments: dict[str, Any] = {
            "strategy": self.make,
            "space": self.space,
            "budget": self.budget,
            "shots": self.shots,
            "seed": 1,
            "train": self.train,
            **changes,
        }
        strategy: Strategy = arguments.pop("strategy")()
        return strategy.search(task=bench.task, backbone=bench.backbone, folder=folder, **arguments)

    @pytest.fixture
    def whole(
        self,
        bench: Bench,
        request: pytest.FixtureRequest,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Whole:
        """The search that others are compared with, made once a class."""
        stash = of_class(request)
        if _WHOLE not in stash:
            folder = tmp_path_factory.mktemp("whole")
            stash[_WHOLE] = Whole(self.search(bench, folder), folder)
        return stash[_WHOLE]

    def test_results_are_legal(self, whole: Whole) -> None:
        """Tried and chosen architectures fit the space and its limits."""
        result = whole.result
        for architecture in (
            result.architecture,
            *(each.architecture for each in result.evaluations),
        ):
            self.space.check(architecture)
        assert [each.number for each in result.evaluations] == list(range(len(result.evaluations)))
        tried = [(each.architecture.describe(), each.epochs) for each in result.evaluations]
        assert len(set(tried)) == len(tried)
        assert result.strategy == self.make().name
        assert result.seconds > 0
        assert result.stopped_by
        # Both are asked for by whoever keeps the result.
        assert result.summary().evaluations == len(result.evaluations)
        assert all(each in result.evaluations for each in result.front)

    def test_the_seed_decides(self, bench: Bench, whole: Whole) -> None:
        """A strategy may search again, and ends alike with the same seed."""
        strategy = self.make()
        before = global_generators()
        other = self.search(bench, strategy=lambda: strategy, seed=2)
        self.space.check(other.architecture)
        again = self.search(bench, strategy=lambda: strategy)
        assert story(again) == story(whole.result)
        assert global_generators() == before

    def test_the_budget_is_kept(self, bench: Bench) -> None:
        """Neither the counted nor the actual cost exceeds the budget."""
        settings = self.make().settings
        split = few_shot_split(
            bench.task, self.shots, 1, settings.validation, settings.validation_shots
        )
        a_trial = self.train.epochs * math.ceil(len(split.train) / self.train.batch_size)
        for budget in self.tight_budgets:
            with counted_steps() as taken:
                result = self.search(bench, budget=budget)
            most = min(budget.steps or math.inf, (budget.trials or math.inf) * a_trial)
            assert taken() <= result.cost.steps <= most

    def test_a_budget_for_nothing(self, bench: Bench) -> None:
        """One step pays for no trial and no epoch."""
        try:
            result = self.search(bench, budget=SearchBudget(steps=1))
        except StrategyError as error:
            assert_sentence(error)
        else:
            assert result.cost.steps <= 1

    def test_a_space_of_one_architecture(self, bench: Bench) -> None:
        """The search ends, and finds it."""
        space = small_space(0)
        result = self.search(bench, space=space)
        assert result.architecture == space.uniform(0)
        assert len(result.evaluations) <= 1 or result.evaluations[0].epochs < self.train.epochs

    def test_the_front(self, bench: Bench) -> None:
        """A search for the Pareto front follows the same rules."""
        result = self.search(bench, objective="pareto")
        self.space.check(result.architecture)
        if result.evaluations:
            assert result.front

    def test_the_ledger_is_complete(self, whole: Whole) -> None:
        """Each trial has its line, and the lines add up to the cost."""
        lines = read_ledger(whole.folder / LEDGER)
        trials = [line for line in lines if "charge" not in line]
        assert [
            (each.architecture.lengths, each.epochs, each.cost.steps, each.cost.images)
            for each in whole.result.evaluations
        ] == [
            (
                {tower: tuple(part) for tower, part in line["lengths"].items()},
                line["epochs"],
                line["steps"],
                line["images"],
            )
            for line in trials
        ]
        cost = whole.result.cost
        assert cost.steps == sum(line["steps"] for line in lines)
        assert cost.images == sum(line["images"] for line in lines)
        assert cost.seconds == pytest.approx(sum(line["seconds"] for line in lines))

    def test_a_search_that_is_complete_is_not_run_again(self, bench: Bench, whole: Whole) -> None:
        """A repeated complete search is answered from its ledger."""
        path = whole.folder / LEDGER
        before = path.read_bytes()
        assert story(self.search(bench, whole.folder)) == story(whole.result)
        assert path.read_bytes() == before

    def test_interrupted_anywhere(
        self, bench: Bench, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A search that is interrupted repeatedly ends as an uninterrupted one."""
        expected = ledger_of(whole.folder)
        count = len(expected)
        before, after = False, True
        # Before a line, its work is done and lost; after it, nothing else is.
        stops = {(0, before), (1, after), (count // 2, before), (count - 1, before), (count, after)}
        for lines, late in sorted(stops):
            if late and lines == len(ledger_of(tmp_path)):
                continue
            with monkeypatch.context() as patch:
                patch.setattr(Ledger, "append", _stopping(Ledger.append, lines, late))
                with pytest.raises(_Stopped):
                    self.search(bench, tmp_path)
            assert ledger_of(tmp_path) == expected[:lines]
        assert story(self.search(bench, tmp_path)) == story(whole.result)
        assert ledger_of(tmp_path) == expected

    def test_more_budget(self, bench: Bench, whole: Whole, tmp_path: Path) -> None:
        """A finished search with more budget continues as if it always had it, or refuses.

        Other trials were side by side then, so numbers are rounded otherwise.
        """
        try:
            self.search(bench, tmp_path, budget=self.tight_budgets[0])
            result = self.search(bench, tmp_path)
        except (OutputError, StrategyError) as error:
            assert_sentence(error)
        else:
            assert story(result, losses=False) == story(whole.result, losses=False)
            expected = [each.outcome.loss for each in whole.result.ranking if each.outcome]
            found = [each.outcome.loss for each in result.ranking if each.outcome]
            assert found == pytest.approx(expected, rel=1e-4)

    def test_trials_that_fail(
        self, bench: Bench, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Failed trials are recorded and not retried, and the search goes on."""
        if len(whole.result.evaluations) < 2:
            pytest.skip("too few trials for some to fail")
        failed: list[str] = []
        with monkeypatch.context() as patch:
            # The first, and every third after it.
            patch.setattr(FewShotTrials, "run", _failing(3, failed))
            patch.setattr(FewShotTrials, "stack_size", 1)
            result = self.search(bench, tmp_path, max_failed=1.0)
        assert failed
        assert failed == [
            each.architecture.describe() for each in result.evaluations if each.outcome is None
        ]
        for each in result.evaluations:
            assert (each.error is None) == (each.outcome is not None)
            assert each.error is None or _REASON in each.error
        assert result.failures == len(failed)
        assert result.architecture.describe() in [
            each.architecture.describe() for each in result.ranking
        ]
        assert story(self.search(bench, tmp_path, max_failed=1.0)) == story(result)

    def test_all_trials_fail(
        self, bench: Bench, whole: Whole, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One sentence explains why all trials failed."""
        if not whole.result.evaluations:
            pytest.skip("the strategy makes no trials")
        monkeypatch.setattr(FewShotTrials, "run", _failing(1, []))
        monkeypatch.setattr(FewShotTrials, "stack_size", 1)
        with pytest.raises(StrategyError, match=_REASON) as error:
            self.search(bench)
        assert_sentence(error.value)

    def test_another_search_is_refused(self, bench: Bench, whole: Whole) -> None:
        """Another search is refused, and the ledger stays unchanged."""
        path = whole.folder / LEDGER
        before = path.read_bytes()
        others: tuple[dict[str, Any], ...] = (
            {"seed": 2},
            {"space": self.space.model_copy(update={"max_context_vectors": 2})},
            {"train": self.train.model_copy(update={"epochs": 3})},
            {"objective": "pareto"},
            {"strategy": _Other},
        )
        for changes in others:
            with pytest.raises(OutputError) as error:
                self.search(bench, whole.folder, **changes)
            assert_sentence(error.value)
        assert path.read_bytes() == before

    def test_settings_that_do_not_exist(self) -> None:
        """Unknown settings are refused, so that a misspelt one is noticed."""
        if not self.refuses_settings:
            pytest.skip("the strategy takes any setting")
        with pytest.raises((ConfigError, StrategyError, TypeError), match="no_such_setting"):
            self.make(no_such_setting=1)


class _Stopped(BaseException):
    """An interruption like a kill: the search must not catch it."""


class _Other(Strategy):
    name = "another of the conformance tests"

    def explore(self, search: Search) -> None:
        search.evaluate([search.space.uniform(0)])


def _stopping(
    append: Callable[[Ledger, dict[str, Any]], None], lines: int, late: bool
) -> Callable[[Ledger, dict[str, Any]], None]:
    """``append`` that stops the search before or after it makes ``lines`` of them."""

    def stopping(ledger: Ledger, entry: dict[str, Any]) -> None:
        if not late and len(ledger.entries) == lines:
            raise _Stopped
        append(ledger, entry)
        if late and len(ledger.entries) == lines:
            raise _Stopped

    return stopping


def _failing(every: int, failed: list[str]) -> Callable[..., Any]:
    """``FewShotTrials.run`` whose first call fails, and every so many after it."""
    run = FewShotTrials.run
    calls = iter(range(10**9))

    def failing(trials: FewShotTrials, architecture: Any, *others: Any, **named: Any) -> Any:
        if next(calls) % every == 0:
            failed.append(architecture.describe())
            raise RuntimeError(_REASON)
        return run(trials, architecture, *others, **named)

    return failing
