"""Random numbers of a given range."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["draw_uniform"]


def draw_uniform(
    shape: Sequence[int], low: float, high: float, generator: torch.Generator
) -> Tensor:
    """Draw numbers of ``low`` to ``high``, each as likely as the others; float32, on the CPU."""
    return low + (high - low) * torch.rand(*shape, generator=generator)
