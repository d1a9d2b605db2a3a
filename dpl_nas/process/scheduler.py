"""Jobs that run in this or in other processes; a job is retried once if its process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from dpl_nas.process.pools import Pool
from dpl_nas.process.threads import share_of_cores

__all__ = ["Here", "LostJobError", "Pending", "Processes", "Workers", "run_jobs"]

Job = TypeVar("Job")
JobIn_contra = TypeVar("JobIn_contra", contravariant=True)
Result = TypeVar("Result")
ResultOut_co = TypeVar("ResultOut_co", covariant=True)


class LostJobError(Exception):
    """The process of a job ended twice without a result."""

    def __init__(self) -> None:
        super().__init__("its process ended twice without a result")


class Pending(Protocol[ResultOut_co]):
    """A job that has been started."""

    def result(self) -> ResultOut_co:
        """Wait for the result and return it.

        Raises
        ------
        LostJobError
            If its process died, and died again when the job was retried alone.
        """
        ...


class Workers(Protocol[JobIn_contra, Result]):
    """The place where jobs run: this process, other processes, or other machines.

    Attributes
    ----------
    count
        Number of parallel jobs; no caller starts more.
    """

    count: int

    def start(self, job: JobIn_contra) -> Pending[Result]:
        """Start a job, or queue it."""
        ...

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """Wait until one of these has its result; return that one."""
        ...

    def close(self) -> None:
        """End running jobs without waiting for them."""
        ...


class Here(Generic[Job, Result]):
    """Workers that run one job at a time, in this process, when its result is asked for."""

    count = 1

    def __init__(self, work: Callable[[Job], Result]) -> None:
        self._work = work

    def start(self, job: Job) -> Pending[Result]:
        """Queue the job."""
        return _Noted(partial(self._work, job))

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """Return the one that was started first."""
        pending[0].result()
        return pending[0]

    def close(self) -> None:
        """Do nothing: no job is running."""


class _Noted(Generic[Result]):
    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._found: list[Result] = []

    def result(self) -> Result:
        if not self._found:
            self._found.append(self._work())
        return self._found[0]


class Processes(Generic[Job, Result]):
    """Workers that run parallel jobs in processes, each with its share of the cores.

    If a process dies (out of memory, killed), all running jobs are lost. Each is retried once,
    alone, so that only a job that kills its process again fails.

    Parameters
    ----------
    count
        Number of parallel jobs.
    work
        Function of a job; it and the jobs must be picklable.
    once
        Whether every job gets a new process, and so its own memory.
    prepare, arguments
        Function, and its arguments, called in each process before its first job.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[Job], Result],
        *,
        once: bool = False,
        prepare: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self.count = count
        self._work = work
        # A job that is retried alone gets no more threads: its result must not change.
        self._fresh = partial(
            Pool,
            once=once,
            threads=share_of_cores(count),
            prepare=prepare,
            arguments=arguments,
        )
        self._pool = self._fresh(count)
        self._alone: list[Pool] = []

    def start(self, job: Job) -> Pending[Result]:
        """Start a job."""
        return _Submitted(self._submit(job), lambda: self._again(job))

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """Return the first of these that ends; among several, the one started first."""
        submitted = [each for each in pending if isinstance(each, _Submitted)]
        while True:
            wait([each.future for each in submitted], return_when=FIRST_COMPLETED)
            for each in submitted:
                if each.settled():
                    return each

    def close(self) -> None:
        """End the processes without waiting for running jobs."""
        for pool in (self._pool, *self._alone):
            pool.abandon()
        self._alone.clear()

    def _submit(self, job: Job) -> Future[Result]:
        try:
            return self._pool.submit(self._work, job)
        except BrokenProcessPool:
            self._pool.abandon()
            self._pool = self._fresh(self.count)
            return self._pool.submit(self._work, job)

    def _again(self, job: Job) -> tuple[Future[Result], Callable[[], None]]:
        """Try a job alone; the second function ends its process."""
        pool = self._fresh(1)
        self._alone.append(pool)

        def end() -> None:
            self._alone.remove(pool)
            # Without waiting, the executor's own thread breaks.
            pool.shutdown(wait=True)

        return pool.submit(self._work, job), end


class _Submitted(Generic[Result]):
    def __init__(
        self,
        future: Future[Result],
        again: Callable[[], tuple[Future[Result], Callable[[], None]]],
    ) -> None:
        self.future = future
        self._again: Callable[[], tuple[Future[Result], Callable[[], None]]] | None = again
        self._end: Callable[[], None] | None = None

    def settled(self) -> bool:
        """Whether the result is there; starts the job again if its process died."""
        if not self.future.done():
            return False
        if self._again is not None and isinstance(self.future.exception(), BrokenProcessPool):
            (self.future, self._end), self._again = self._again(), None
            return False
        if self._end is not None:
            self._end()
            self._end = None
        return True

    def result(self) -> Result:
        while not self.settled():
            wait([self.future])
        try:
            return self.future.result()
        except BrokenProcessPool:
            raise LostJobError from None


def run_jobs(
    workers: Workers[Job, Result], jobs: Iterable[Job]
) -> Iterator[tuple[Job, Pending[Result]]]:
    """Run as many jobs in parallel as there are workers; yield each as it ends.

    After an exception in the loop's body, or after leaving it, no further job starts; closing
    the workers ends running ones.
    """
    running: dict[int, tuple[Job, Pending[Result]]] = {}
    for number, job in enumerate(jobs):
        if len(running) >= workers.count:
            yield _ended(workers, running)
        running[number] = (job, workers.start(job))
    while running:
        yield _ended(workers, running)


def _ended(
    workers: Workers[Job, Result], running: dict[int, tuple[Job, Pending[Result]]]
) -> tuple[Job, Pending[Result]]:
    ended = workers.first([pending for _, pending in running.values()])
    number = next(key for key, (_, pending) in running.items() if pending is ended)
    return running.pop(number)
