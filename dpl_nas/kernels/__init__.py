"""Attention over tokens and candidate contexts: one contract, several implementations (paths).

Every path gives the result of :mod:`dpl_nas.kernels.reference` and its gradients.

- ``reference`` is the definition: one attention per candidate, in turn.
- ``portable`` computes the shared parts once, from public operations of torch.
- ``fast`` adds a hand-written backward pass where it applies; elsewhere it is ``portable``.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.kernels import fast, portable, reference
from dpl_nas.kernels.frozen import Activation, frozen_linear, frozen_mlp
from dpl_nas.kernels.layout import CandidateLayout

__all__ = [
    "Activation",
    "CandidateLayout",
    "KernelPath",
    "candidate_attention",
    "frozen_linear",
    "frozen_mlp",
]

KernelPath = Literal["fast", "portable", "reference"]


def candidate_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_k: Tensor,
    context_v: Tensor,
    layout: CandidateLayout,
    weights: Tensor | None,
    mask: Tensor | None,
    *,
    path: KernelPath = "fast",
) -> Tensor:
    """Return the weighted sum, over candidate contexts, of attention over ``[tokens; context]``.

    Shapes and formula: :func:`dpl_nas.kernels.reference.candidate_attention`.

    Raises
    ------
    ValueError
        If the path is unknown, or candidates, weights and vectors do not fit together.
    """
    if path not in get_args(KernelPath):
        raise ValueError(f"expected a kernel path of {get_args(KernelPath)}, found {path!r}")
    _check(context_k, context_v, layout, weights)
    if path == "reference":
        return reference.candidate_attention(q, k, v, context_k, context_v, layout, weights, mask)
    if weights is None:
        return _one_candidate(q, k, v, context_k, context_v, mask)
    if path == "fast" and fast.applies(q, layout):
        result = fast.candidate_attention(q, k, v, context_k, context_v, layout, weights, mask)
        if result is not None:
            return result
    return portable.candidate_attention(q, k, v, context_k, context_v, layout, weights, mask)


def _one_candidate(
    q: Tensor, k: Tensor, v: Tensor, context_k: Tensor, context_v: Tensor, mask: Tensor | None
) -> Tensor:
    """Compute plain attention over the tokens and the vectors of a single candidate."""
    vectors = context_k.shape[1]
    if vectors:
        batch = (k.shape[0], -1, -1, -1)
        k = torch.cat([context_k.expand(batch), k], dim=2)
        v = torch.cat([context_v.expand(batch), v], dim=2)
    if mask is not None:
        mask = functional.pad(mask, (vectors, 0)).to(q.dtype)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _check(
    context_k: Tensor, context_v: Tensor, layout: CandidateLayout, weights: Tensor | None
) -> None:
    candidates = 1 if weights is None else weights.numel()
    if candidates != len(layout.lengths):
        raise ValueError(f"expected {candidates} candidate lengths, found {len(layout.lengths)}")
    if not context_k.shape[1] == context_v.shape[1] == layout.total:
        raise ValueError(
            f"expected keys and values of {layout.total} context vectors, found "
            f"{context_k.shape[1]} and {context_v.shape[1]}"
        )
