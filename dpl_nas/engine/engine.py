"""Runs the trials of a search: within its budget, each once, on disk before it counts."""

from __future__ import annotations

import math
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dpl_nas.backbone import Backbone
from dpl_nas.engine.entries import checked_entry
from dpl_nas.engine.evaluation import Cost, Evaluation, Outcome, architecture_of, best_of, trial_key
from dpl_nas.engine.ledger import Ledger
from dpl_nas.engine.trials import FewShotTrials, TrialSettings, state_name
from dpl_nas.engine.workers import Finished, Here, Job, Processes, Workers
from dpl_nas.errors import ArchitectureError, CheckpointError, StrategyError
from dpl_nas.observer import Observer
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture
from dpl_nas.space.fitting import count as count_architectures
from dpl_nas.training.evaluation import Classifier

__all__ = ["TrialEngine"]

_LEDGER = "ledger.jsonl"
_STATES = "trials"

#: From so many trials on, the share of those that failed is looked at.
_ENOUGH = 4
#: A search that asks for what it has seen so often in a row has nothing new to ask.
_REPEATS = 1000


@dataclass(frozen=True)
class _Pending:
    architecture: Architecture
    epochs: int
    cost: Cost
    result: Callable[[], Evaluation | Finished | dict[str, Any]]
    again: bool


class TrialEngine:
    """Trials of one search.

    Results are handed out in the order in which their trials were submitted, each once its line
    of the ledger is on disk. So a search that is run again with the same
    seed asks for the same trials, and those in the ledger are answered from there: it ends as
    one that was never interrupted. An architecture that was trained for as many epochs before
    costs nothing.

    Parameters
    ----------
    settings
        What a trial is.
    budget
        Limits; ``None`` for none.
    backbone
        For trials in this process.
    folder
        Where the ledger is, and states of trainings that may go on; ``None`` keeps both
        nowhere.
    jobs
        Trials side by side. Their number decides which results a search has seen when it asks
        for the next, so the same seed with another number may end otherwise.
    max_failed
        The share of trials that may fail.
    stage
        What observers are told that trials are.
    identity
        What else a ledger must be of, to be gone on with.

    Raises
    ------
    TaskError
        If there are too few images.
    OutputError
        If the folder holds another search.
    """

    def __init__(
        self,
        settings: TrialSettings,
        budget: SearchBudget | None,
        *,
        backbone: Backbone,
        folder: Path | None = None,
        jobs: int = 1,
        max_failed: float = 0.5,
        stage: str = "search",
        observer: Observer | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.evaluations: tuple[Evaluation, ...] = ()
        self._budget = budget
        self._jobs = jobs
        self._max_failed = max_failed
        self._observer = observer or Observer()
        self._stage = stage
        self._begun = False
        self._own = FewShotTrials(settings, backbone)
        self._size = count_architectures(settings.space)
        self._pending: deque[_Pending] = deque()
        self._seen: dict[tuple[Any, ...], Evaluation] = {}
        self._charges: dict[str, Cost] = {}
        self._trained: dict[tuple[Any, ...], int] = {}
        self._spent = Cost()
        self._repeats = 0
        self._started = time.perf_counter()
        self._stack = ExitStack()
        self._folder = folder
        self._ledger: Ledger | None = None
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._before = 0.0
        self._replayed = 0.0
        if folder is not None:
            ledger = Ledger(folder / _LEDGER, {**settings.identity(), **(identity or {})})
            self._ledger = self._stack.enter_context(ledger)
            try:
                self._recall(ledger.entries, folder / _LEDGER)
            except BaseException as error:
                self._stack.close()
                if not isinstance(error, ArchitectureError):
                    raise
                raise CheckpointError(
                    f"{folder / _LEDGER}: {error}, so use another folder"
                ) from error
        self._workers: Workers = (
            Here(self._own)
            if jobs == 1
            else self._stack.enter_context(_closing(Processes(settings, jobs)))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None and self._begun:
            self._observer.end(self._stage)

    # What is left of the budget.

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return self.settings.train.epochs

    @property
    def jobs(self) -> int:
        """Trials side by side."""
        return self._jobs

    @property
    def trial_cost(self) -> Cost:
        """Steps and images of a whole training of one architecture."""
        return self._own.cost(self.epochs)

    @property
    def spent(self) -> Cost:
        """Of all results that were handed out, and all charges; ``seconds`` adds up work."""
        return self._spent

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds of the search, over all resumed parts."""
        if self._known:
            # The ledger still answers: the clock is where it was then.
            return self._replayed
        return self._before + time.perf_counter() - self._started

    @property
    def steps_left(self) -> float:
        """Steps that the budget still allows, beyond what was submitted; or infinity."""
        limits = [math.inf]
        if self._budget is not None and self._budget.steps is not None:
            limits.append(self._budget.steps)
        if self._budget is not None and self._budget.trials is not None:
            limits.append(self._budget.trials * self.trial_cost.steps)
        waiting = sum(each.cost.steps for each in self._pending)
        return min(limits) - self._spent.steps - waiting

    @property
    def stopped_by(self) -> str:
        """Why there can be no further whole trial: an empty string while there can.

        ``trials``, ``steps`` or ``seconds``: the budget; ``exhausted``: every architecture was
        trained; ``repeats``: the search asked for nothing new a thousand times in a row.
        """
        if self._over:
            return self._over
        if self.steps_left < self.trial_cost.steps:
            limit = self._budget.trials if self._budget else None
            return "steps" if limit is None else "trials"
        whole = sum(1 for key in self._seen if key[-1] == self.epochs)
        if whole >= self._size:
            return "exhausted"
        return ""

    def affords(self) -> bool:
        """Whether there can be one more whole trial."""
        return not self.stopped_by

    # Trials.

    @property
    def waiting(self) -> int:
        """Trials that were submitted and not collected."""
        return len(self._pending)

    def submit(
        self, architecture: Architecture, epochs: int | None = None, *, goes_on: bool = False
    ) -> None:
        """Begin a trial; :meth:`collect` has its result.

        Parameters
        ----------
        epochs
            All of the recipe, by default.
        goes_on
            Keep the state of the training, so that a later trial of more epochs goes on from
            there and pays for the rest only.

        Raises
        ------
        ArchitectureError
            If it does not belong to the space, or exceeds its limits.
        """
        self.settings.space.check(architecture)
        if not self._begun:
            self._begun = True
            self._observer.begin(self._stage, self._total())
        epochs = self.epochs if epochs is None else epochs
        key = trial_key(architecture, epochs)
        cost, done = self._price(key)
        again = cost is None
        if again:
            result: Callable[[], Any] = lambda: self._seen[key]  # noqa: E731
        elif key in self._known:
            result = lambda: self._known[key]  # noqa: E731
        else:
            # A state that is ahead would be of more epochs than are asked for.
            state = self._state(architecture) if goes_on and done < epochs else None
            result = self._workers.start(Job(architecture, epochs, state))
        if goes_on and not again:
            self._trained[key[:-1]] = max(done, epochs)
        self._pending.append(_Pending(architecture, epochs, cost or Cost(), result, again))

    def collect(self) -> Evaluation:
        """The result of the earliest trial that was not collected; waits for it.

        Raises
        ------
        StrategyError
            If more than the allowed share of trials has failed.
        IndexError
            If none is waiting.
        """
        pending = self._pending.popleft()
        found = pending.result()
        if isinstance(found, Evaluation):
            self._repeats += 1
            return found
        self._repeats = 0
        evaluation = self._counted(pending, found)
        self.evaluations = (*self.evaluations, evaluation)
        key = trial_key(pending.architecture, pending.epochs)
        self._seen[key] = evaluation
        if evaluation.outcome is None:
            # Nothing of it is surely there to go on with.
            self._trained.pop(key[:-1], None)
        self._tell()
        self._check_failures()
        return evaluation

    def evaluate(
        self,
        architectures: Iterable[Architecture],
        epochs: int | None = None,
        *,
        goes_on: bool = False,
    ) -> list[Evaluation]:
        """Results of several trials in their order, as far as the budget goes.

        What a trial takes is what it really takes: nothing if it was made before, the rest if it
        goes on.
        """
        results = []
        for architecture in architectures:
            if self.waiting >= self._jobs:
                results.append(self.collect())
            price, _ = self._price(trial_key(architecture, epochs or self.epochs))
            if self._over or (price is not None and self.steps_left < price.steps):
                break
            self.submit(architecture, epochs, goes_on=goes_on)
        while self.waiting:
            results.append(self.collect())
        return results

    def forget(self, architecture: Architecture) -> None:
        """The training of ``architecture`` will not go on: remove its state."""
        self._state(architecture).unlink(missing_ok=True)

    def charge(self, what: str, cost: Cost) -> None:
        """Count work that is no trial, such as an epoch of a supernet, once by its name."""
        if what in self._charges:
            return
        entry = self._known.pop(("charge", what), None)
        if entry is None:
            self._record({"charge": what, **_cost_entry(cost), "elapsed": self.elapsed})
        else:
            cost = Cost(entry["steps"], entry["images"], entry["seconds"])
            self._replayed = entry["elapsed"]
        self._charges[what] = cost
        self._spent += cost

    def validate(self, classifier: Classifier) -> Outcome:
        """What a classifier of the strategy's own reaches on the validation images."""
        return self._own.validate(classifier)

    # What follows is internal.

    @property
    def _over(self) -> str:
        """Why there can be no further trial, however short."""
        if self._repeats >= _REPEATS:
            return "repeats"
        limit = self._budget.seconds if self._budget is not None else None
        return "seconds" if limit is not None and self.elapsed >= limit else ""

    def _price(self, key: tuple[Any, ...]) -> tuple[Cost | None, int]:
        """What a trial takes, ``None`` if it was made or is running; and epochs done of it."""
        if key in self._seen or any(
            trial_key(each.architecture, each.epochs) == key for each in self._pending
        ):
            return None, key[-1]
        done = self._trained.get(key[:-1], 0)
        return self._own.cost(key[-1], done if done < key[-1] else 0), done

    def _total(self) -> int:
        """Whole trials that can be made at most, for progress; 0 if that is not known."""
        left = self.steps_left
        if left == math.inf:
            return 0
        return min(int(left // self.trial_cost.steps), self._size)

    def _counted(self, pending: _Pending, found: Finished | dict[str, Any]) -> Evaluation:
        key = trial_key(pending.architecture, pending.epochs)
        if isinstance(found, Finished):
            seconds = found.seconds
            entry: dict[str, Any] = {
                "lengths": {t: list(part) for t, part in pending.architecture.lengths.items()},
                "epochs": pending.epochs,
                "outcome": found.outcome
                and [found.outcome.accuracy, found.outcome.loss, found.outcome.images],
                "error": found.error,
                **_cost_entry(Cost(pending.cost.steps, pending.cost.images, seconds)),
                "peak_bytes": found.peak_bytes,
                "elapsed": self.elapsed,
            }
            self._record(entry)
        else:
            entry = self._known.pop(key)
            self._replayed = entry["elapsed"]
        outcome = entry["outcome"]
        cost = Cost(entry["steps"], entry["images"], entry["seconds"])
        self._spent += cost
        return Evaluation(
            number=len(self.evaluations),
            architecture=pending.architecture,
            epochs=pending.epochs,
            outcome=outcome and Outcome(*outcome),
            cost=cost,
            spent=self._spent,
            peak_bytes=entry["peak_bytes"],
            error=entry["error"],
        )

    def _record(self, entry: dict[str, Any]) -> None:
        if self._ledger is not None:
            self._ledger.append(entry)

    def _recall(self, entries: list[dict[str, Any]], path: Path) -> None:
        space = self.settings.space
        for number, entry in enumerate(entries, start=2):
            checked_entry(
                entry,
                f"line {number} of {path} is none that a search of this version of dpl_nas wrote, "
                "so use another folder",
            )
            key: tuple[Any, ...] = (
                ("charge", entry["charge"])
                if "charge" in entry
                else trial_key(architecture_of(space, entry["lengths"]), entry["epochs"])
            )
            self._known.setdefault(key, entry)
            self._before = max(self._before, float(entry["elapsed"]))

    def _state(self, architecture: Architecture) -> Path:
        if self._folder is None:
            # Nothing is resumed: a folder of this process will do.
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        folder = self._folder / _STATES
        folder.mkdir(exist_ok=True)
        return folder / state_name(architecture)

    def _tell(self) -> None:
        best = best_of(self.evaluations)
        latest = self.evaluations[-1]
        metrics = {} if latest.accuracy is None else {"validation_accuracy": latest.accuracy}
        if best is not None and best.accuracy is not None:
            metrics["best"] = best.accuracy
        self._observer.advance(
            self._stage,
            len(self.evaluations),
            metrics,
            best.architecture.describe() if best else "",
        )

    def _check_failures(self) -> None:
        failed = [each for each in self.evaluations if each.error is not None]
        count = len(self.evaluations)
        if failed and count >= _ENOUGH and len(failed) > self._max_failed * count:
            raise StrategyError(
                f"{len(failed)} of {count} trials failed, more than the share of "
                f"{self._max_failed:g} that may; the last one: {failed[-1].error}"
            )


def _cost_entry(cost: Cost) -> dict[str, Any]:
    return {"steps": cost.steps, "images": cost.images, "seconds": cost.seconds}


class _closing:  # noqa: N801 - like contextlib's
    def __init__(self, workers: Processes) -> None:
        self._workers = workers

    def __enter__(self) -> Processes:
        return self._workers

    def __exit__(self, *_: object) -> None:
        self._workers.close()
