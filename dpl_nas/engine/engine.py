"""The trials of a search: within its budget, each once, on disk before it counts."""

from __future__ import annotations

import math
import tempfile
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dpl_nas.engine.account import Account
from dpl_nas.engine.cost import Cost
from dpl_nas.engine.entries import ChargeEntry, TrialEntry, trial_key
from dpl_nas.engine.evaluation import Evaluation, Outcome, best_of
from dpl_nas.engine.jobs import (
    Finished,
    TrialJob,
    TrialWorkers,
    trials_here,
    trials_in_processes,
)
from dpl_nas.engine.replay import Replay
from dpl_nas.engine.stops import StopReason
from dpl_nas.engine.trials import FewShotTrials, TrialSettings, state_name
from dpl_nas.errors import StrategyError
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.run_files import LEDGER, TRIALS
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.scheduler import LostJobError, Pending
from dpl_nas.process.threads import count_threads
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, fitting
from dpl_nas.training.evaluation import Classifier
from dpl_nas.training.stacks import split_evenly

__all__ = ["TrialEngine"]


#: The least number of trials for which the share of failed ones is checked.
_ENOUGH = 4
#: A search that asks for known trials this often in a row has nothing new to ask.
_REPEATS = 1000


@dataclass(frozen=True)
class _Job:
    """A job that was started, the place of a trial in it, and its number of trials."""

    pending: Pending[tuple[Finished, ...]]
    place: int
    size: int


@dataclass
class _Submitted:
    """A trial that was not collected.

    Attributes
    ----------
    cost
        Its cost; ``None`` if it was made or submitted before.
    goes_on
        Whether to keep the state of its training.
    begun
        Whether its job is running, or need not run.
    job
        Its job; ``None`` if the ledger has the result.
    """

    architecture: Architecture
    epochs: int
    cost: Cost | None
    goes_on: bool
    begun: bool = False
    job: _Job | None = None

    @property
    def key(self) -> Hashable:
        return trial_key(self.architecture.lengths, self.epochs)


class TrialEngine:
    """Trials of one search.

    Results are handed out in the order in which their trials were submitted, each once its line
    of the ledger is on disk. So a search that is run again with the same seed asks for the same
    trials, and the ledger answers for those that it has: the search ends as one that was never
    interrupted. An architecture that was trained for as many epochs before costs nothing.

    Parameters
    ----------
    settings
        Definition of a trial: all but the architecture and the epochs.
    budget
        Limits of the search; ``None`` for none.
    folder
        Folder of the ledger and of the states of trainings that may go on; ``None`` keeps
        neither.
    jobs
        Number of trials side by side. It decides which results a search has seen when it asks
        for the next trial, so the same seed with another number may end otherwise.
    workers
        Workers that run the trials, instead of this process or ``jobs`` processes; the caller
        closes them.
    max_failed
        Share of trials that may fail.
    stage
        Name of the stage that observers are told.
    identity
        Further values that the ledger must have for the search to go on.

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
        folder: AnyPath | None = None,
        jobs: int = 1,
        workers: TrialWorkers | None = None,
        max_failed: float = 0.5,
        stage: str = Stage.SEARCH,
        observer: Observer | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.evaluations: tuple[Evaluation, ...] = ()
        self._max_failed = max_failed
        self._observer = observer or Observer()
        self._stage = stage
        self._begun = False
        self._own = FewShotTrials(settings)
        limited = budget is not None and budget.seconds is not None
        self._side_by_side = 1 if limited else self._own.stack_size
        self._size = fitting.count(settings.problem.space)
        self._waiting: deque[_Submitted] = deque()
        self._seen: dict[Hashable, Evaluation] = {}
        self._charges: set[str] = set()
        #: Epochs done of the trainings whose states are kept.
        self._trained: dict[Architecture, int] = {}
        self._repeats = 0
        self._account = Account(budget, self._own.cost(settings.problem.recipe.epochs).steps)
        self._stack = ExitStack()
        self._folder = folder = None if folder is None else Path(folder)
        with ExitStack() as undone:
            undone.callback(self._stack.close)
            self._replay = Replay(
                folder / LEDGER if folder is not None else None,
                {**settings.identity(), **(identity or {})},
                settings.problem.space,
                self._stack,
                count_threads(jobs) if settings.problem.device == "cpu" else None,
            )
            self._account.before = self._replay.elapsed
            self._replayed_until(0.0)
            self._workers = workers or self._stack.enter_context(
                closing(
                    trials_here(self._own) if jobs == 1 else trials_in_processes(settings, jobs)
                )
            )
            undone.pop_all()

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
        """Epochs of a whole trial."""
        return self.settings.epochs

    @property
    def jobs(self) -> int:
        """Number of trials side by side."""
        return self._workers.count

    @property
    def side_by_side(self) -> int:
        """Number of trials that a worker trains in one batch; 1 if seconds are limited."""
        return self._side_by_side

    @property
    def trial_cost(self) -> Cost:
        """Steps and images of a whole trial of one architecture."""
        return self._own.cost(self.epochs)

    @property
    def spent(self) -> Cost:
        """Cost of all charges and of all results handed out; ``seconds`` adds up work."""
        return self._account.spent

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds of the search, over all resumed parts."""
        return self._account.elapsed

    @property
    def steps_left(self) -> float:
        """Steps that the budget still allows, beyond what was submitted; or infinity."""
        return self._account.steps_left(
            sum(each.cost.steps for each in self._waiting if each.cost is not None)
        )

    def reserve(self, steps: int) -> None:
        """Keep so many steps of the budget for work that comes after the search."""
        self._account.reserved = steps

    @property
    def stopped_by(self) -> StopReason | None:
        """Why there can be no further whole trial; ``None`` while there can."""
        if (over := self._over) is not None:
            return over
        if self.steps_left < self.trial_cost.steps:
            return self._account.steps_reason
        if sum(each.epochs == self.epochs for each in self.evaluations) >= self._size:
            return StopReason.EXHAUSTED
        return None

    def affords(self) -> bool:
        """Whether there can be one more whole trial."""
        return self.stopped_by is None

    # Trials.

    @property
    def waiting(self) -> int:
        """Number of trials that were submitted and not collected."""
        return len(self._waiting)

    def due(self, *, ahead: bool) -> int:
        """Number of trials to collect before another is submitted.

        Parameters
        ----------
        ahead
            Whether trials are trained side by side, as none depends on the result of another.
        """
        size = self.side_by_side if ahead else 1
        if self.waiting < self.jobs * size:
            return 0
        # Workers wait for one another where each has several trials.
        return 1 if size == 1 else self.waiting

    def submit(
        self, architecture: Architecture, epochs: int | None = None, *, goes_on: bool = False
    ) -> None:
        """Ask for a trial; :meth:`collect` has its result, and begins all that were asked for.

        Small models are trained side by side, so it pays to ask for several before the first is
        collected (:attr:`side_by_side`).

        Parameters
        ----------
        epochs
            Number of epochs; by default those of a whole trial.
        goes_on
            Whether to keep the state of the training, so that a later trial of more epochs goes
            on from there and pays for the rest only.

        Raises
        ------
        ArchitectureError
            If it does not belong to the space, or exceeds its limits.
        """
        self.settings.problem.space.check(architecture)
        if not self._begun:
            self._begun = True
            self._observer.begin(self._stage, self._total())
        epochs = self.epochs if epochs is None else epochs
        cost, done = self._price(architecture, epochs)
        # A state with more epochs than are asked for is of no use.
        self._waiting.append(_Submitted(architecture, epochs, cost, goes_on and done < epochs))
        if goes_on and cost is not None:
            self._trained[architecture] = max(done, epochs)

    def collect(self) -> Evaluation:
        """Wait for the earliest trial that was not collected, and return its result.

        Raises
        ------
        StrategyError
            If more than the allowed share of trials has failed.
        IndexError
            If none is waiting.
        """
        self._begin()
        submitted = self._waiting.popleft()
        if submitted.key in self._seen:
            self._repeats += 1
            return self._seen[submitted.key]
        entry = self._recalled(submitted) or self._made(submitted)
        self._repeats = 0
        self._account.pay(entry.cost)
        evaluation = Evaluation(
            number=len(self.evaluations),
            architecture=submitted.architecture,
            epochs=submitted.epochs,
            outcome=entry.measured,
            cost=entry.cost,
            spent=self.spent,
            peak_bytes=entry.peak_bytes,
            error=entry.error,
        )
        self.evaluations = (*self.evaluations, evaluation)
        self._seen[submitted.key] = evaluation
        if evaluation.outcome is None:
            # Its state may not be there to go on with.
            self._trained.pop(submitted.architecture, None)
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

        A trial that was made before costs nothing; one that goes on costs the rest only.
        """
        results = []
        for architecture in architectures:
            results += [self.collect() for _ in range(self.due(ahead=not goes_on))]
            price, _ = self._price(architecture, epochs or self.epochs)
            if self._over is not None or (price is not None and self.steps_left < price.steps):
                break
            self.submit(architecture, epochs, goes_on=goes_on)
        while self.waiting:
            results.append(self.collect())
        return results

    def forget(self, architecture: Architecture) -> None:
        """Remove the state of the training of ``architecture``, which will not go on."""
        self._state(architecture).unlink(missing_ok=True)

    def charge(self, what: str, cost: Cost) -> None:
        """Count work that is no trial, such as an epoch of a supernet, once a name."""
        if what in self._charges:
            return
        self._charges.add(what)
        entry = self._replay.take(("charge", what))
        if entry is None:
            entry = ChargeEntry.of(what, cost, self.elapsed)
            self._replay.record(entry)
        else:
            self._replayed_until(entry.elapsed)
        self._account.pay(entry.cost)

    def validate(self, classifier: Classifier) -> Outcome:
        """Validate a classifier of the strategy's own."""
        return self._own.validate(classifier)

    # What follows is internal.

    @property
    def _over(self) -> StopReason | None:
        """Why there can be no further trial, however short; ``None`` while there can."""
        if self._repeats >= _REPEATS:
            return StopReason.REPEATS
        return StopReason.SECONDS if self._account.out_of_time else None

    def _price(self, architecture: Architecture, epochs: int) -> tuple[Cost | None, int]:
        """Cost of a trial, ``None`` if it was made or is running; and its epochs done before."""
        key = trial_key(architecture.lengths, epochs)
        if key in self._seen or any(each.key == key for each in self._waiting):
            return None, epochs
        done = self._trained.get(architecture, 0)
        return self._own.cost(epochs, done if done < epochs else 0), done

    def _total(self) -> int:
        """The most whole trials that can be made, for progress; 0 if that is not known."""
        left = self.steps_left
        if left == math.inf:
            return 0
        return min(int(left // self.trial_cost.steps), self._size)

    def _begin(self) -> None:
        """Start the jobs of all trials that were asked for."""
        new = [each for each in self._waiting if not each.begun]
        for each in new:
            each.begun = True
        paid = [each for each in new if each.cost is not None]
        # A training whose state is kept is a job of its own.
        for _, group in groupby(paid, lambda each: (each.epochs, each.goes_on and each.key)):
            for part in self._stacks(list(group)):
                first = part[0]
                state = self._state(first.architecture) if first.goes_on else None
                job = TrialJob(tuple(each.architecture for each in part), first.epochs, state)
                pending = self._workers.start(job)
                for place, each in enumerate(part):
                    each.job = _Job(pending, place, len(part))

    def _stacks(self, trials: Sequence[_Submitted]) -> Iterator[Sequence[_Submitted]]:
        """Yield the stacks of which a trial is missing in the ledger.

        Who is trained side by side decides how numbers are rounded, and a search that goes on must
        end as one that never stopped. So trials that the ledger has stay in their stacks.
        """
        known = [self._replay.find(each.key) for each in trials]
        sizes = [line.stack if isinstance(line, TrialEntry) else None for line in known]
        start = 0
        for part in split_evenly(trials, self.side_by_side, self.jobs):
            found = sizes[start : start + len(part)]
            if found[0] not in (None, len(part)):
                # The search had another budget then.
                size = found[0] or 1
                if None in sizes[start : start + size]:
                    yield trials[start : start + size]
                yield from self._stacks(trials[start + size :])
                return
            if None in found:
                yield part
            start += len(part)

    def _recalled(self, submitted: _Submitted) -> TrialEntry | None:
        """The line of the trial, if the ledger has it already."""
        entry = self._replay.take(submitted.key)
        if not isinstance(entry, TrialEntry):
            return None
        self._replayed_until(entry.elapsed)
        return entry

    def _made(self, submitted: _Submitted) -> TrialEntry:
        """Wait for the trial, put its line on disk, and return the line."""
        if submitted.job is None or submitted.cost is None:
            raise RuntimeError("the trial was never started")
        job = submitted.job
        try:
            finished = job.pending.result()[job.place]
        except LostJobError as error:
            finished = Finished(None, 0.0, 0, str(error))
        entry = TrialEntry.of(
            submitted.architecture,
            submitted.epochs,
            outcome=finished.outcome,
            error=finished.error,
            cost=replace(submitted.cost, seconds=finished.seconds),
            peak_bytes=finished.peak_bytes,
            elapsed=self.elapsed,
            stack=job.size,
        )
        self._replay.record(entry)
        return entry

    def _replayed_until(self, elapsed: float) -> None:
        """Set the clock to that of a line while the ledger answers."""
        self._account.replayed = elapsed if self._replay else None

    def _state(self, architecture: Architecture) -> Path:
        if self._folder is None:
            # Without a folder nothing is resumed: a temporary one will do.
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        folder = self._folder / TRIALS
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
                f"{len(failed)} of {count} trials failed, more than the allowed share of "
                f"{self._max_failed:g}; error of the last one: {failed[-1].error}"
            )
