import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.training import prefetch
from dpl_nas.training.prefetch import prefetched


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("prefetch")]


def later(value: int, log: list[int] | None = None) -> Callable[[], int]:
    def job() -> int:
        time.sleep(0.0005 * (value % 3))
        if log is not None:
            log.append(value)
        return value

    return job


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 4), st.integers(1, 3))
def test_results_come_in_order(count: int, ahead: int, workers: int) -> None:
    jobs = (later(value) for value in range(count))
    assert list(prefetched(jobs, ahead=ahead, workers=workers)) == list(range(count))
    assert not threads()


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_it_runs_ahead_but_not_far(ahead: int) -> None:
    log: list[int] = []
    results = prefetched((later(value, log) for value in itertools.count()), ahead=ahead)
    assert next(results) == 0
    deadline = time.monotonic() + 10
    while len(log) <= ahead and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert log == list(range(ahead + 1))
    results.close()
    assert not threads()


def test_an_exception_comes_in_its_turn() -> None:
    def jobs() -> Iterator[Callable[[], int]]:
        yield later(1)
        yield lambda: 1 // 0
        yield later(2)

    results = prefetched(jobs())
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not threads()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, GeneratorExit])
def test_threads_end_whatever_stops_the_caller(kind: type[BaseException]) -> None:
    log: list[int] = []
    results = prefetched(later(value, log) for value in itertools.count())
    next(results)
    assert len(threads()) == 1
    with pytest.raises(kind):
        results.throw(kind("stop"))
    assert not threads()
    done = len(log)
    time.sleep(0.01)
    assert len(log) == done


def test_an_interrupted_program_ends() -> None:
    # Not imported with its package, whose dependencies take seconds.
    program = (
        "import itertools, runpy, signal, time\n"
        # A shell that runs in the background ignores Ctrl-C, and so would all that it starts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"prefetched = runpy.run_path({prefetch.__file__!r})['prefetched']\n"
        "for n in prefetched((lambda: time.sleep(0.01)) for _ in itertools.count()):\n"
        "    print('going', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")
