"""Threads of torch: how they wait, and how many there are."""

from __future__ import annotations

import os
import warnings

from dpl_nas.errors import DplWarning

__all__ = ["count_threads", "share_cores", "share_of_cores", "tell_other_threads", "usable_cores"]


def share_cores() -> None:
    """Let waiting threads spin for microseconds, then sleep; the user's own settings win.

    Threads that spin for long make small models ten times slower wherever another process
    wants the cores; threads that never spin make them twice as slow on an idle machine.
    OpenMP reads both variables once, when torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def usable_cores() -> int:
    """Return the number of cores that this process may use: SLURM and taskset limit them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_of_cores(count: int) -> int:
    """Return the number of threads for each of ``count`` processes."""
    return max(1, usable_cores() // count)


def count_threads(jobs: int = 1) -> int:
    """Return the number of threads that torch uses for each of several jobs side by side."""
    import torch

    return torch.get_num_threads() if jobs == 1 else share_of_cores(jobs)


def tell_other_threads(where: object, before: object, now: int) -> None:
    """Warn if what goes on in a folder was begun with another number of threads."""
    if before in (None, now):
        return
    warnings.warn(
        f"{where} was begun with {before} threads and goes on with {now}, which round sums in "
        "another order: it may end in another result than one that was never interrupted "
        "(OMP_NUM_THREADS sets the threads; with --jobs each has its share of the cores)",
        DplWarning,
        stacklevel=3,
    )
