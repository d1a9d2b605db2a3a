"""Pools of processes, for work that Python's threads cannot run in parallel."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from dpl_nas.process.main_guard import check_main_guard
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.notes import tell_notes
from dpl_nas.process.signals import die_of_signals
from dpl_nas.process.threads import share_of_cores

__all__ = ["Pool"]

_WARNINGS = "PYTHONWARNINGS"
#: What almost all work imports: it takes seconds, once instead of in each process.
_IMPORTED_BEFORE = ["torch", "open_clip"]
#: Where every piece of work has a new process, what whole searches import, too.
_IMPORTED_FOR_ALL = [*_IMPORTED_BEFORE, "dpl_nas.runs.imported"]
#: Bytes of a folder's name, so that 32 of multiprocessing's are no more than a socket's 107.
_LONGEST_FOLDER = 75
#: Standard output and error.
_STREAMS = (1, 2)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Pool(ProcessPoolExecutor):
    """A pool of fresh processes, each with its share of the cores.

    On Linux they are forks of a server that has imported torch and does nothing else, so they start
    at once. Each has the environment and the standard streams that this process has by then. They
    leave Ctrl-C to this process, and end when it is killed. An exception in the body of a
    ``with`` ends them at once, too.

    Parameters
    ----------
    count
        Number of parallel processes.
    once
        Whether every piece of work gets a new process, and so its own memory.
    threads
        Number of torch's threads in each process; its share of the cores by default.
    prepare, arguments
        Function, and its arguments, called in each process before its first work.

    Raises
    ------
    ConfigError
        If every new process would run the script again, because it has no guard.
    """

    def __init__(
        self,
        count: int,
        *,
        once: bool = False,
        threads: int | None = None,
        prepare: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        check_main_guard()
        _start_tracker()
        context = _context(_IMPORTED_FOR_ALL if once else _IMPORTED_BEFORE)
        # A process that holds one end lives until the other end is closed, which also
        # happens when this process ends.
        held, self._lifeline = context.Pipe(duplex=False)
        super().__init__(
            count,
            mp_context=context,
            initializer=_prepare,
            initargs=(held, _Surroundings(), threads or share_of_cores(count), prepare, arguments),
            max_tasks_per_child=1 if once else None,
        )

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Submit as the standard executor; Ctrl-C cannot hit a process before it is prepared."""
        # Processes, and the thread that starts more of them, inherit the blocked signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def abandon(self) -> None:
        """End the processes now, without waiting for their work."""
        self._lifeline.close()
        self.shutdown(wait=True, cancel_futures=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if kind is not None:
            self.abandon()
        return super().__exit__(kind, error, traceback)


def _context(imported: list[str]) -> BaseContext:
    """How processes start; if the server of forks does, it first imports these modules.

    A fork of this process would copy the state of torch's threads, but not the threads. The server
    of forks has one thread alone. Elsewhere than on Linux, system libraries do not stand a fork.
    Where the folder of temporary files has a long name, its socket would have none.
    """
    long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER
    if long or not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(imported)
    return context


class _Surroundings:
    """What a new process has from this one: its environment and its standard streams, as they are.

    The server of forks has those of the moment when it was started.
    """

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        streams = {}
        for each in _STREAMS:
            # A stream may be closed.
            with suppress(OSError):
                os.fstat(each)
                streams[each] = reduction.DupFd(each)
        return _surround, (dict(os.environ), streams)


def _surround(environment: dict[str, str], streams: dict[int, Any]) -> None:
    """Take over the environment and the streams in the new process."""
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in streams.items():
        given = stream.detach()
        # A spawned process has them already.
        if given != number:
            os.dup2(given, number)
            os.close(given)


def _start_tracker() -> None:
    """Start the resource tracker, without its warnings: it cleans up after killed processes."""
    before = os.environ.get(_WARNINGS)
    os.environ[_WARNINGS] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ[_WARNINGS]
        else:
            os.environ[_WARNINGS] = before


def _prepare(
    lifeline: Connection,
    _: object,
    threads: int,
    prepare: Callable[..., None] | None,
    arguments: tuple[Any, ...],
) -> None:
    die_of_signals()
    tell_notes()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    keep_freed_memory()
    # It takes seconds, during which the thread above already waits.
    import torch

    torch.set_num_threads(threads)
    if prepare is not None:
        prepare(*arguments)


def _end_with(lifeline: Connection) -> None:
    """End this process with its parent; else it would wait for its next job for ever."""
    wait([lifeline])
    os._exit(1)
