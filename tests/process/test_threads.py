import os

import pytest
import torch

from dpl_nas.errors import DplWarning
from dpl_nas.process.threads import (
    count_threads,
    share_cores,
    share_of_cores,
    tell_other_threads,
    usable_cores,
)


def test_the_users_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_threads_are_those_of_a_job() -> None:
    assert count_threads() == torch.get_num_threads()
    assert count_threads(2) == share_of_cores(2)


def test_cores_that_are_taken_away_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5}, raising=False)
    assert [usable_cores(), share_of_cores(2), share_of_cores(9)] == [3, 1, 1]
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == (os.cpu_count() or 1)


def test_other_threads_are_told() -> None:
    tell_other_threads("runs/x", 2, 2)
    tell_other_threads("runs/x", None, 2)
    with pytest.warns(DplWarning, match="^runs/x was begun with 1 threads and goes on with 2, "):
        tell_other_threads("runs/x", 1, 2)
