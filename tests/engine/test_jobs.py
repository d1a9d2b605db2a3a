"""Processes beside this one, killed in the middle of their work."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dpl_nas.config import TrainSettings
from dpl_nas.engine import FewShotTrials, Outcome, TrialSettings
from dpl_nas.engine.jobs import TrialJob, trials_here, trials_in_processes
from dpl_nas.errors import ConfigError
from dpl_nas.process.scheduler import LostJobError


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def processes() -> list[int]:
    return [int(child.pid or 0) for child in multiprocessing.active_children()]


def kill_at_work(state: Path, before: list[int]) -> None:
    """Once the training has saved a state, end its process."""
    until(state.exists)
    (victim,) = set(processes()) - set(before)
    state.unlink()
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in processes())


@pytest.mark.slow
def test_a_process_that_dies_is_tried_once_more(
    trial_settings: TrialSettings, tmp_path: Path
) -> None:
    long = TrialSettings(
        trial_settings.problem.having(recipe=TrainSettings(epochs=40, batch_size=2))
    )
    architecture = long.problem.space.uniform(0).model_copy(
        update={"lengths": {"image": (1, 0), "text": (0, 1)}}
    )
    state = tmp_path / "a.state"
    outcome, _ = FewShotTrials(long).run(architecture, 40)
    before = processes()
    workers = trials_in_processes(long, 1)
    try:
        result = workers.start(TrialJob((architecture,), 40, state))
        kill_at_work(state, before)
        (once,) = result.result()
        assert once.error is None
        assert once.outcome == outcome
        assert once.seconds > 0
        assert once.peak_bytes > 10**8

        state.unlink()
        result = workers.start(TrialJob((architecture,), 40, state))
        kill_at_work(state, before)
        # It goes on when its result is asked for.
        killed: list[LostJobError] = []

        def wait() -> None:
            try:
                result.result()
            except LostJobError as error:
                killed.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        kill_at_work(state, before)
        waiting.join(60)
        assert str(killed[0]) == "its process ended twice without a result"

        # Others are not held up by it.
        (after,) = workers.start(TrialJob((architecture,), 3)).result()
        assert after.error is None
    finally:
        workers.close()
    until(lambda: set(processes()) == set(before))


def test_closing_ends_what_is_running(trial_settings: TrialSettings, tmp_path: Path) -> None:
    endless = TrialSettings(
        trial_settings.problem.having(recipe=TrainSettings(epochs=10**6, batch_size=2))
    )
    architecture = endless.problem.space.uniform(0).model_copy(
        update={"lengths": {"image": (1, 0), "text": (0, 0)}}
    )
    before = processes()
    workers = trials_in_processes(endless, 1)
    workers.start(TrialJob((architecture,), 10**6, tmp_path / "a.state"))
    until((tmp_path / "a.state").exists)
    started = time.monotonic()
    workers.close()
    assert time.monotonic() - started < 20
    assert set(processes()) == set(before)


def test_an_error_of_a_trial_is_its_result(
    trial_settings: TrialSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = FewShotTrials(trial_settings)
    job = TrialJob((trial_settings.problem.space.uniform(0),), 1)

    def told(error: Exception) -> str | None:
        def run(*_: object) -> None:
            raise error

        monkeypatch.setattr(FewShotTrials, "run", run)
        (found,) = trials_here(trials).start(job).result()
        assert found.outcome is None
        return found.error

    assert told(ConfigError("lower the rate")) == "lower the rate"
    assert told(MemoryError("no room")) == "MemoryError: no room"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FewShotTrials, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trials_here(trials).start(job).result()


def test_a_loss_that_is_no_number_is_a_failure(
    trial_settings: TrialSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ledger could hold it."""
    trials = FewShotTrials(trial_settings)
    monkeypatch.setattr(FewShotTrials, "run", lambda *_: (Outcome(0.5, float("nan"), 4), 0.1))
    job = TrialJob((trial_settings.problem.space.uniform(0),), 1)
    (found,) = trials_here(trials).start(job).result()
    assert found.outcome is None
    assert found.error == "the validation loss was nan"


def test_other_weights_are_refused(trial_settings: TrialSettings) -> None:
    with pytest.raises(ConfigError, match="not those that the search began with"):
        FewShotTrials(TrialSettings(replace(trial_settings.problem, fingerprint="0" * 16)))
