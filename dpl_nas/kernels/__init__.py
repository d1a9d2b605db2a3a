"""Attention over tokens and candidate contexts: one contract, computed along several paths.

Every path gives the result of :mod:`dpl_nas.kernels.reference` and its gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from dpl_nas.kernels import reference

__all__ = ["KernelPath", "candidate_attention"]

KernelPath = Literal["reference"]


def candidate_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_keys: Sequence[Tensor],
    context_values: Sequence[Tensor],
    weights: Tensor | None,
    mask: Tensor | None,
    *,
    path: KernelPath = "reference",
) -> Tensor:
    """Weighted sum, over candidate contexts, of attention over ``[tokens; context]``.

    Shapes, formula and errors: :func:`dpl_nas.kernels.reference.candidate_attention`.
    """
    if path != "reference":
        raise ValueError(f"expected the kernel path 'reference', found {path!r}")
    return reference.candidate_attention(q, k, v, context_keys, context_values, weights, mask)
