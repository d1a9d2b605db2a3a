"""Checks of a task's images before the work begins."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Protocol, runtime_checkable

from dpl_nas.console import watched
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.io.text import make_printable
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.threads import usable_cores
from dpl_nas.tasks.copies import tell_copies
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.task import ImageSet, Task

__all__ = ["check_each", "check_images", "check_tested"]

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
    task: Task,
    rows: Iterable[int] = (),
    *,
    test: bool = True,
    observer: Observer | None = None,
    quiet: bool = False,
) -> None:
    """Decode the images ``rows`` of the pool and, with ``test``, all test images, if in files.

    Warn of animations and, with ``test``, of classes without test images and of pictures that are
    there twice.

    If it takes a while, there is a stage ``check``, whose units are images.

    Parameters
    ----------
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    TaskError
        If files are not readable images, which the message names; with ``test``, if there are no
        test images.
    """
    if test:
        check_tested(task)
    jobs = [
        *((task.pool, row) for row in sorted(set(rows))),
        *((task.test, row) for row in range(len(task.test.labels)) if test),
    ]
    jobs = [(images, row) for images, row in jobs if isinstance(images, _Checked)]
    if jobs:
        with watched(observer, quiet=quiet) as watching:
            _decode(task, jobs, watching)
    if test:
        tell_copies(task)


def _decode(task: Task, jobs: Sequence[tuple[ImageSet, int]], observer: Observer) -> None:
    """Raise an error for images that cannot be read; warn of animations."""
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
        files = "1 file holds" if several == 1 else f"{several} files hold"
        warnings.warn(
            f"{task.name}: {files} an animation or several pages; only the first picture is used",
            DplWarning,
            stacklevel=3,
        )


def check_tested(task: Task) -> None:
    """Warn of classes without test images.

    Raises
    ------
    TaskError
        If there are no test images.
    """
    tested = set(task.test.labels)
    name = make_printable(task.name)
    if not tested:
        raise TaskError(f"task {name} has no test images: add some")
    names = [each for label, each in enumerate(task.class_names) if label not in tested]
    if names:
        warnings.warn(
            f"task {name}: {len(names)} of {len(task.class_names)} classes have no test images: "
            f"{tell_names(names)}",
            DplWarning,
            stacklevel=3,
        )


def check_each(jobs: Sequence[tuple[ImageSet, int]]) -> Iterator[bool | TaskError]:
    """Yield, for each of ``jobs``, whether its file holds more than the image, or what is wrong."""
    threads = min(usable_cores(), _MOST_THREADS)
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
