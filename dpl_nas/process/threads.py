"""Waiting mode of torch's threads, set before torch is loaded."""

from __future__ import annotations

import os

__all__ = ["share_cores"]


def share_cores() -> None:
    """Let waiting threads spin for microseconds, then sleep; the user's own settings win.

    Threads that spin for long make small models ten times slower wherever another process
    wants the cores; threads that never spin make them twice as slow on an idle machine.
    OpenMP reads both variables once, when torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
