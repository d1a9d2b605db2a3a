"""What becomes of memory that torch gives back, decided once for a process."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

#: Parameters of mallopt in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the process keep memory that it frees, for the next step; return whether it does.

    glibc hands large blocks back to the system at once. A training step then has the system
    clear the same gigabytes again and again, which took 7% of a search step of ViT-B/16
    (docs/performance.md). The peak is the same, but the process stays as large as it was once.
    Nothing happens where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = (mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_TOP_PAD, 1 << 26))
    return all(done)
