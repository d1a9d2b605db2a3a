"""Checks of a task's images before the work begins."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Protocol, runtime_checkable

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.observer import Observer, Stage
from dpl_nas.tasks.copies import tell_copies
from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["check_each", "check_images"]

#: Checks shorter than this are not reported as a stage.
QUIET_SECONDS = 2.0

_MOST_THREADS = 8
#: Largest number of problems that are listed.
_TOLD = 3


@runtime_checkable
class _Checked(Protocol):
    """Images that may turn out to be unreadable."""

    def check(self, index: int) -> bool:
        """Check an image; return whether its file holds more than this image."""
        ...


@checked()
def check_images(
    task: Task, rows: Iterable[int] = (), *, test: bool = True, observer: Observer | None = None
) -> None:
    """Decode the images ``rows`` of the pool and, with ``test``, all test images, if in files.

    Warn of animations and, with ``test``, of pictures that are there twice.

    If it takes a while, ``observer`` hears of the stage ``check``, whose units are images.

    Raises
    ------
    TaskError
        If files are not readable images; the message names them.
    """
    jobs = [
        *((task.pool, row) for row in sorted(set(rows))),
        *((task.test, row) for row in range(len(task.test.labels)) if test),
    ]
    jobs = [(images, row) for images, row in jobs if isinstance(images, _Checked)]
    if not jobs:
        return
    observer = observer or Observer()
    problems: list[str] = []
    several = 0
    started, told = time.monotonic(), False
    for done, found in enumerate(check_each(jobs), start=1):
        if isinstance(found, TaskError):
            problems.append(str(found))
        else:
            several += found
        if not told and time.monotonic() - started >= QUIET_SECONDS:
            observer.begin(Stage.CHECK, len(jobs), done - 1)
            told = True
        if told:
            observer.advance(Stage.CHECK, done, {})
    if told:
        observer.end(Stage.CHECK)
    if problems:
        more = len(problems) - _TOLD
        first = "; ".join(problems[:_TOLD])
        raise TaskError(first + (f"; and {more} more files" if more > 0 else ""))
    if several:
        warnings.warn(
            f"{task.name}: {several} files hold an animation or several pages; only the first "
            "picture of each is used",
            DplWarning,
            stacklevel=2,
        )
    if test:
        tell_copies(task)


def check_each(jobs: Sequence[tuple[ImageSet, int]]) -> Iterator[bool | TaskError]:
    """Yield, for each of ``jobs``, whether its file holds more than the image, or what is wrong."""
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
        # A part at a time: an interruption waits for no more than one.
        size = 64 * threads
        parts = (jobs[start : start + size] for start in range(0, len(jobs), size))
        yield from chain.from_iterable(pool.map(_check, part) for part in parts)


def _check(job: tuple[ImageSet, int]) -> bool | TaskError:
    images, row = job
    try:
        return isinstance(images, _Checked) and images.check(row)
    except TaskError as error:
        return error
