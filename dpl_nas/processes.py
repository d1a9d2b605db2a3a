"""Processes beside this one, for work that Python's threads would not share the cores for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any

from dpl_nas.memory import keep_freed_memory

__all__ = ["spawned"]


def spawned(
    count: int,
    *,
    once: bool = False,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> ProcessPoolExecutor:
    """A pool of fresh processes, each with its share of the cores.

    They leave Ctrl-C to this process, and end when it is killed.

    Parameters
    ----------
    count
        How many at a time.
    once
        A new process for every piece of work, so that its memory is its own.
    prepare, arguments
        Called in each process before its first piece of work.
    """
    return ProcessPoolExecutor(
        count,
        # A fork would copy threads of torch that are not there any more.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(max(1, (os.cpu_count() or 1) // count), prepare, arguments),
        max_tasks_per_child=1 if once else None,
    )


def _prepare(threads: int, prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    import torch

    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    keep_freed_memory()
    torch.set_num_threads(threads)
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next job for ever."""

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
