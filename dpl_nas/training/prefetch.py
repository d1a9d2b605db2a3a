"""The next batches are prepared while a step computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from dpl_nas.process.threads import usable_cores

__all__ = ["decode_ahead", "prefetched"]

_MOST_DECODERS = 8

T = TypeVar("T")


def prefetched(
    jobs: Iterable[Callable[[], T]], *, ahead: int = 2, workers: int = 1
) -> Generator[T, None, None]:
    """Results of ``jobs`` in their order, computed by threads up to ``ahead`` jobs early.

    An exception of a job is raised here, where its result would have come. However the
    generator ends (exhausted, closed, interrupted), jobs that have not begun are dropped and
    the threads have ended. With ``workers`` > 1, jobs run at the same time.

    Parameters
    ----------
    jobs
        Iterable of jobs, iterated in the calling thread.
    ahead
        Finished or running jobs that wait for the caller, at most.
    """
    waiting: deque[Future[T]] = deque()
    # Leaving it waits for the job that runs: a thread never outlives what it works on.
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def decode_ahead(jobs: Iterable[Callable[[], T]]) -> Generator[T, None, None]:
    """:func:`prefetched` with as many threads as decoding images can use here."""
    workers = min(usable_cores(), _MOST_DECODERS)
    return prefetched(jobs, ahead=2 * workers, workers=workers)
