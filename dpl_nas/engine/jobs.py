"""Trials as a job: the request to a worker, and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.engine.evaluation import Outcome
from dpl_nas.engine.trials import FewShotTrials, TrialSettings, peak_bytes
from dpl_nas.errors import DplError
from dpl_nas.process.scheduler import Here, Processes, Workers
from dpl_nas.space import Architecture

__all__ = [
    "Finished",
    "TrialJob",
    "TrialWorkers",
    "run_trial_job",
    "trials_here",
    "trials_in_processes",
]


@dataclass(frozen=True)
class TrialJob:
    """Trials to run side by side, usually one.

    Attributes
    ----------
    architectures
        Architecture of each trial.
    epochs
        Number of epochs of each.
    state
        File of the training if that shall go on later; then there is one trial.
    """

    architectures: tuple[Architecture, ...]
    epochs: int
    state: Path | None = None


@dataclass(frozen=True)
class Finished:
    """The end of a trial: an outcome, or an error."""

    outcome: Outcome | None
    seconds: float
    peak_bytes: int
    error: str | None = None


TrialWorkers = Workers[TrialJob, tuple[Finished, ...]]


def trials_here(trials: FewShotTrials) -> TrialWorkers:
    """A worker that runs one job at a time in this process."""
    return Here(_running(trials))


def trials_in_processes(settings: TrialSettings, count: int) -> TrialWorkers:
    """Workers side by side; each process loads the backbone and the images once."""
    return Processes(count, _run_there, prepare=_prepare, arguments=(settings,))


class _Process:
    """The state that a worker process keeps between trials."""

    settings: TrialSettings | None = None
    trials: FewShotTrials | None = None


def _prepare(settings: TrialSettings) -> None:
    _Process.settings = settings


def _run_there(job: TrialJob) -> tuple[Finished, ...]:
    if _Process.trials is None and _Process.settings is not None:
        try:
            _Process.trials = FewShotTrials(_Process.settings)
        except Exception as error:  # noqa: BLE001 - the search tells why every trial failed
            return (_failed(error),) * len(job.architectures)
    if _Process.trials is None:
        raise RuntimeError("the worker was not prepared")
    return run_trial_job(_Process.trials, job)


def _running(trials: FewShotTrials) -> Callable[[TrialJob], tuple[Finished, ...]]:
    return lambda job: run_trial_job(trials, job)


def run_trial_job(trials: FewShotTrials, job: TrialJob) -> tuple[Finished, ...]:
    """Run the trials of a job where this is called: workers on other machines call it there."""
    if len(job.architectures) > 1:
        try:
            return tuple(_ended(*each) for each in trials.run_stack(job.architectures, job.epochs))
        except Exception:  # noqa: BLE001 - it may be the fault of one of them
            return tuple(
                run_trial_job(trials, TrialJob((each,), job.epochs))[0]
                for each in job.architectures
            )
    try:
        return (_ended(*trials.run(job.architectures[0], job.epochs, job.state)),)
    except Exception as error:  # noqa: BLE001 - whatever it is, the search goes on
        return (_failed(error),)


def _ended(outcome: Outcome, seconds: float) -> Finished:
    if not math.isfinite(outcome.loss):
        return Finished(None, 0.0, peak_bytes(), f"the validation loss was {outcome.loss}")
    return Finished(outcome, seconds, peak_bytes())


def _failed(error: Exception) -> Finished:
    kind = "" if isinstance(error, DplError) else f"{type(error).__name__}: "
    return Finished(None, 0.0, peak_bytes(), f"{kind}{error}")
