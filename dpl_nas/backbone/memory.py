"""How much memory a backward pass may keep."""

from __future__ import annotations

import torch

__all__ = ["kept_bytes"]

_ON_CPU = 1 << 30
#: The part of a GPU's memory.
_SHARE = 8


def kept_bytes(device: torch.device) -> int:
    """Return the bytes that a pass may keep on ``device``; the rest is recomputed, or in turn."""
    if device.type != "cuda":
        return _ON_CPU
    return int(torch.cuda.get_device_properties(device).total_memory) // _SHARE
