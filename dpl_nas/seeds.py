"""Independent random streams from one seed."""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed", "derive_short_seed"]


def derive_seed(seed: int, *parts: str | int) -> int:
    """Return a 63-bit seed for one purpose of a run, such as ``(seed, "order", epoch)``.

    Streams with different parts are independent. So a new stream in the program does not change
    the numbers of another, and a resumed epoch draws the same numbers as an uninterrupted one.
    """
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_short_seed(seed: int, *parts: str | int) -> int:
    """Return the same in 32 bits, which numpy's older generators take."""
    return derive_seed(seed, *parts) % 2**32
