"""Jobs in processes, some of which die."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dpl_nas.process.scheduler import Here, LostJobError, Processes, Workers, run_jobs
from dpl_nas.process.threads import usable_cores


def double(value: int) -> int:
    return 2 * value


def slow_first(value: int) -> int:
    if value == 0:
        time.sleep(2)
    return value


def threads_of(mark: Path) -> int:
    """How many torch has; ends its process where ``mark`` is not there yet."""
    import torch

    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.get_num_threads()


def fatal(value: int) -> int:
    if value < 0:
        os._exit(1)
    time.sleep(0.2)
    return value


def test_here_runs_a_job_when_its_result_is_asked_for() -> None:
    done: list[int] = []

    def work(value: int) -> int:
        done.append(value)
        return value

    workers: Workers[int, int] = Here(work)
    first, second = workers.start(1), workers.start(2)
    assert not done
    assert second.result() == 2
    assert workers.first([first, second]) is first
    assert first.result() == first.result() == 1
    assert done == [2, 1]


@pytest.mark.parametrize("count", [0, 2])
def test_all_jobs_come_back(count: int) -> None:
    workers: Workers[int, int] = Processes(count, double) if count else Here(double)
    with closing(workers):
        found = {job: pending.result() for job, pending in run_jobs(workers, range(5))}
    assert found == {job: 2 * job for job in range(5)}


def test_what_ends_first_comes_first_and_no_more_are_started_than_there_are_workers() -> None:
    given: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(4):
            given.append(job)
            yield job

    with closing(Processes(2, slow_first)) as workers:
        order = []
        for job, _ in run_jobs(workers, jobs()):
            order.append(job)
            assert len(given) - len(order) <= 2
    assert sorted(order) == [0, 1, 2, 3]
    assert order[0] != 0


def test_a_job_whose_process_died_is_tried_again_alone_with_the_same_threads(
    tmp_path: Path,
) -> None:
    with closing(Processes(2, threads_of)) as workers:
        found = workers.start(tmp_path / "mark").result()
    assert found == max(1, usable_cores() // 2)


def test_only_the_job_that_ends_its_process_again_is_lost() -> None:
    with closing(Processes(2, fatal)) as workers:
        ended: dict[int, int | str] = {}
        for job, pending in run_jobs(workers, [1, -1, 2, 3]):
            try:
                ended[job] = pending.result()
            except LostJobError as error:
                ended[job] = str(error)
    assert ended == {1: 1, -1: "its process ended twice without a result", 2: 2, 3: 3}
