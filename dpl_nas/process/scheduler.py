"""Jobs that run here or in processes beside this one, each tried again if its process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from dpl_nas.process.pools import Pool, share_of_cores

__all__ = ["Here", "LostJobError", "Pending", "Processes", "Workers", "run_jobs"]

Job = TypeVar("Job")
JobIn_contra = TypeVar("JobIn_contra", contravariant=True)
Result = TypeVar("Result")
ResultOut_co = TypeVar("ResultOut_co", covariant=True)


class LostJobError(Exception):
    """The process of a job ended without a result, twice."""

    def __init__(self) -> None:
        super().__init__("its process ended without a result, twice")


class Pending(Protocol[ResultOut_co]):
    """A job that was started."""

    def result(self) -> ResultOut_co:
        """Wait for it.

        Raises
        ------
        LostJobError
            If its process died, and died again when it was tried alone.
        """
        ...


class Workers(Protocol[JobIn_contra, Result]):
    """Where jobs run: here, in processes, or on other machines.

    Attributes
    ----------
    count
        How many run side by side; nobody starts more.
    """

    count: int

    def start(self, job: JobIn_contra) -> Pending[Result]:
        """Begin a job, or note it down."""
        ...

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """Wait for one of these; the result of the returned one is there."""
        ...

    def close(self) -> None:
        """End what is still running, without waiting for it."""
        ...


class Here(Generic[Job, Result]):
    """One job at a time, in this process, when its result is asked for."""

    count = 1

    def __init__(self, work: Callable[[Job], Result]) -> None:
        self._work = work

    def start(self, job: Job) -> Pending[Result]:
        """Note the job down."""
        return _Noted(partial(self._work, job))

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """The one that was started first."""
        pending[0].result()
        return pending[0]

    def close(self) -> None:
        """Nothing is running."""


class _Noted(Generic[Result]):
    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._found: list[Result] = []

    def result(self) -> Result:
        if not self._found:
            self._found.append(self._work())
        return self._found[0]


class Processes(Generic[Job, Result]):
    """Jobs side by side in processes of their own, each with its share of the cores.

    A process that dies (out of memory, killed) takes the jobs that were running with it. Each of
    them is tried once more, alone, so that only one that ends its process again is lost.

    Parameters
    ----------
    count
        How many at a time.
    work
        What a job does; it and the jobs must be picklable.
    once
        A new process for every job, so that its memory is its own.
    prepare, arguments
        Called in each process before its first job.
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
        # A job that is tried again alone gets no more of them: its result must not change.
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
        """Begin a job."""
        return _Submitted(self._submit(job), lambda: self._again(job))

    def first(self, pending: Sequence[Pending[Result]]) -> Pending[Result]:
        """The first of these that ends; of several, the one that was started first."""
        submitted = [each for each in pending if isinstance(each, _Submitted)]
        while True:
            wait([each.future for each in submitted], return_when=FIRST_COMPLETED)
            for each in submitted:
                if each.settled():
                    return each

    def close(self) -> None:
        """Do not wait for jobs that are running: their processes end."""
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

    def _again(self, job: Job) -> Future[Result]:
        pool = self._fresh(1)
        self._alone.append(pool)
        future = pool.submit(self._work, job)
        future.add_done_callback(lambda _: pool.shutdown(wait=False))
        return future


class _Submitted(Generic[Result]):
    def __init__(self, future: Future[Result], again: Callable[[], Future[Result]]) -> None:
        self.future = future
        self._again: Callable[[], Future[Result]] | None = again

    def settled(self) -> bool:
        """Whether the result is there; starts the job again if its process died."""
        if not self.future.done():
            return False
        if self._again is None or not isinstance(self.future.exception(), BrokenProcessPool):
            return True
        self.future, self._again = self._again(), None
        return False

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
    """Run jobs, as many at a time as there are workers; yield each as it ends.

    What the body of the loop raises, or leaving it, starts no further job; closing the workers
    ends those that run.
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
