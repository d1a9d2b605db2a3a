"""Pools of processes, for work that Python's threads cannot run in parallel."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from dpl_nas.process.main_guard import check_main_guard
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.notes import tell_notes
from dpl_nas.process.signals import die_of_signals
from dpl_nas.process.threads import share_of_cores

__all__ = ["Pool"]

_WARNINGS = "PYTHONWARNINGS"

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Pool(ProcessPoolExecutor):
    """A pool of fresh processes, each with its share of the cores.

    They leave Ctrl-C to this process, and end when it is killed. An exception in the body of a
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
        # A fork would copy the state of torch's threads, but not the threads.
        context = multiprocessing.get_context("spawn")
        # A process that holds one end lives until the other end is closed, which also
        # happens when this process ends.
        held, self._lifeline = context.Pipe(duplex=False)
        super().__init__(
            count,
            mp_context=context,
            initializer=_prepare,
            initargs=(held, threads or share_of_cores(count), prepare, arguments),
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
