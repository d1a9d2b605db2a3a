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
from dpl_nas.engine.workers import Finished, Here, Job, Processes
from dpl_nas.errors import ConfigError
from dpl_nas.testing import Bench


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
    bench: Bench, trial_settings: TrialSettings, tmp_path: Path
) -> None:
    long = replace(trial_settings, train=TrainSettings(epochs=40, batch_size=2))
    architecture = long.space.uniform(0).model_copy(
        update={"lengths": {"image": (1, 0), "text": (0, 1)}}
    )
    state = tmp_path / "a.state"
    outcome, _ = FewShotTrials(long, bench.backbone).run(architecture, 40)
    before = processes()
    workers = Processes(long, 1)
    try:
        result = workers.start(Job(architecture, 40, state))
        kill_at_work(state, before)
        once = result()
        assert once.error is None
        assert once.outcome == outcome
        assert once.seconds > 0
        assert once.peak_bytes > 10**8

        state.unlink()
        result = workers.start(Job(architecture, 40, state))
        kill_at_work(state, before)
        # It goes on when its result is asked for.
        killed: list[Finished] = []
        waiting = threading.Thread(target=lambda: killed.append(result()))
        waiting.start()
        kill_at_work(state, before)
        waiting.join(60)
        assert killed[0].outcome is None
        assert killed[0].error == "its process ended without a result, twice"

        # Others are not held up by it.
        after = workers.start(Job(architecture, 3))()
        assert after.error is None
    finally:
        workers.close()
    until(lambda: set(processes()) == set(before))


def test_closing_ends_what_is_running(trial_settings: TrialSettings, tmp_path: Path) -> None:
    endless = replace(trial_settings, train=TrainSettings(epochs=10**6, batch_size=2))
    architecture = endless.space.uniform(0).model_copy(
        update={"lengths": {"image": (1, 0), "text": (0, 0)}}
    )
    before = processes()
    workers = Processes(endless, 1)
    workers.start(Job(architecture, 10**6, tmp_path / "a.state"))
    until((tmp_path / "a.state").exists)
    started = time.monotonic()
    workers.close()
    assert time.monotonic() - started < 20
    assert set(processes()) == set(before)


def test_an_error_of_a_trial_is_its_result(
    bench: Bench, trial_settings: TrialSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = FewShotTrials(trial_settings, bench.backbone)
    job = Job(trial_settings.space.uniform(0), 1)

    def told(error: Exception) -> str | None:
        def run(*_: object) -> None:
            raise error

        monkeypatch.setattr(FewShotTrials, "run", run)
        found = Here(trials).start(job)()
        assert found.outcome is None
        return found.error

    assert told(ConfigError("lower the rate")) == "lower the rate"
    assert told(MemoryError("no room")) == "MemoryError: no room"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FewShotTrials, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Here(trials).start(job)()


def test_a_loss_that_is_no_number_is_a_failure(
    bench: Bench, trial_settings: TrialSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ledger could hold it."""
    trials = FewShotTrials(trial_settings, bench.backbone)
    monkeypatch.setattr(FewShotTrials, "run", lambda *_: (Outcome(0.5, float("nan"), 4), 0.1))
    found = Here(trials).start(Job(trial_settings.space.uniform(0), 1))()
    assert found.outcome is None
    assert found.error == "the validation loss was nan"


def test_other_weights_are_refused(bench: Bench, trial_settings: TrialSettings) -> None:
    with pytest.raises(ConfigError, match="not those that the search began with"):
        FewShotTrials(replace(trial_settings, fingerprint="0" * 16), bench.backbone)
