"""Handling of memory that torch frees, set once per process."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

#: Parameters of mallopt in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the process keep freed memory for the next step; return whether it does.

    glibc returns large blocks to the system at once. The system then clears the same gigabytes
    again in each training step, which took 7% of a search step of ViT-B/16
    (docs/performance.md). The peak is the same, but the process stays as large as it was once.
    With other C libraries this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = (mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_TOP_PAD, 1 << 26))
    return all(done)
