"""Independent random streams from one seed."""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed"]


def derive_seed(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for one purpose of a run, such as ``(seed, "order", epoch)``.

    Streams with other parts are unrelated, so that adding one to the program does not shift
    the numbers that another draws, and a resumed epoch draws what it would have drawn.
    """
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
