"""Where trials run: in this process, or in several beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dpl_nas.engine.evaluation import Outcome
from dpl_nas.engine.trials import FewShotTrials, TrialSettings, peak_bytes
from dpl_nas.errors import DplError
from dpl_nas.process.pools import Pool
from dpl_nas.space import Architecture

__all__ = ["Finished", "Here", "Job", "Processes", "Workers"]


@dataclass(frozen=True)
class Job:
    """A trial to run; ``state`` is where its training is kept, if it shall go on later."""

    architecture: Architecture
    epochs: int
    state: Path | None = None


@dataclass(frozen=True)
class Finished:
    """What became of a job: an outcome, or an error."""

    outcome: Outcome | None
    seconds: float
    peak_bytes: int
    error: str | None = None


class Workers(Protocol):
    """Run jobs; the result is asked for later."""

    count: int

    def start(self, job: Job) -> Callable[[], Finished]:
        """Begin a job, or note it down; the returned function waits for its result."""
        ...

    def close(self) -> None:
        """End what is still running."""
        ...


class Here:
    """One trial at a time, in this process, when its result is asked for."""

    count = 1

    def __init__(self, trials: FewShotTrials) -> None:
        self._trials = trials

    def start(self, job: Job) -> Callable[[], Finished]:
        """Note the job down."""
        return lambda: _run(self._trials, job)

    def close(self) -> None:
        """Nothing is running."""


class Processes:
    """Trials side by side in processes of their own, each with its share of the cores.

    A process that dies (out of memory, killed) takes the trials that were running with it: each
    is tried once more, and one that ends its process again has failed.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, settings: TrialSettings, count: int) -> None:
        self.count = count
        self._settings = settings
        self._pool = self._fresh()

    def start(self, job: Job) -> Callable[[], Finished]:
        """Begin a job."""
        pool, future = self._pool, self._submit(job)
        return lambda: self._result(job, pool, future)

    def close(self) -> None:
        """Do not wait for trials that are running: their processes end."""
        self._pool.abandon()

    def _submit(self, job: Job) -> Future[Finished]:
        try:
            return self._pool.submit(_run_there, job)
        except BrokenProcessPool:
            self._pool = self._fresh()
            return self._pool.submit(_run_there, job)

    def _result(self, job: Job, pool: Pool, future: Future[Finished]) -> Finished:
        for last in (False, True):
            try:
                return future.result()
            except BrokenProcessPool:
                if last:
                    break
                if self._pool is pool:
                    self._pool = self._fresh()
                pool, future = self._pool, self._submit(job)
        return Finished(None, 0.0, 0, "its process ended without a result, twice")

    def _fresh(self) -> Pool:
        return Pool(self.count, prepare=_prepare, arguments=(self._settings,))


class _Process:
    """What a worker process holds on to between trials."""

    settings: TrialSettings | None = None
    trials: FewShotTrials | None = None


def _prepare(settings: TrialSettings) -> None:
    _Process.settings = settings


def _run_there(job: Job) -> Finished:
    if _Process.trials is None and _Process.settings is not None:
        try:
            _Process.trials = FewShotTrials(_Process.settings)
        except Exception as error:  # noqa: BLE001 - the search tells why every trial failed
            return _failed(error)
    if _Process.trials is None:
        raise RuntimeError("the worker was not prepared")
    return _run(_Process.trials, job)


def _run(trials: FewShotTrials, job: Job) -> Finished:
    try:
        outcome, seconds = trials.run(job.architecture, job.epochs, job.state)
    except Exception as error:  # noqa: BLE001 - whatever it is, the search goes on
        return _failed(error)
    if not math.isfinite(outcome.loss):
        return Finished(None, 0.0, peak_bytes(), f"the validation loss was {outcome.loss}")
    return Finished(outcome, seconds, peak_bytes())


def _failed(error: Exception) -> Finished:
    kind = "" if isinstance(error, DplError) else f"{type(error).__name__}: "
    return Finished(None, 0.0, peak_bytes(), f"{kind}{error}")
