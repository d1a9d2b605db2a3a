"""All candidates in one attention, from public operations of torch: any device, any dtype."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from dpl_nas.kernels.layout import CandidateLayout

__all__ = ["candidate_attention"]


def candidate_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_k: Tensor,
    context_v: Tensor,
    layout: CandidateLayout,
    weights: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Return the result of :func:`dpl_nas.kernels.reference.candidate_attention`.

    Attention over the tokens is computed once, with its normaliser ``z = sum_t exp(s_t)``. A
    candidate with scores ``r_j`` is then a soft-max over ``[log z, r_1, r_2, ...]``: the first
    entry is the share of the tokens' result in it, the others are those of its vectors. The
    weighted sum over candidates is taken over these shares, so values are mixed once.

    The soft-max subtracts each candidate's own maximum, so no score gap and no saturated weight
    overflows; nothing is divided by a weight.
    """
    scale = q.shape[-1] ** -0.5
    # Scores of bfloat16 have 8 bits: their exponentials are summed in float32.
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = (q @ k.transpose(-2, -1)).to(wide) * scale  # [b, h, q, t]
    if mask is not None:
        scores = scores + mask
    normaliser = scores.logsumexp(dim=-1, keepdim=True)  # [b, h, q, 1]
    tokens_only = scores.softmax(dim=-1).to(v.dtype) @ v
    if layout.total == 0:
        alone: Tensor = tokens_only.to(q.dtype)
        return alone

    rivals = (q @ context_k.transpose(-2, -1)).to(wide) * scale  # [b, h, q, total]
    # Relative to the tokens, where large scores keep their digits; one column stands for no
    # vector, where a candidate is shorter than the longest.
    odds = torch.cat([rivals - normaliser, torch.full_like(normaliser, -torch.inf)], dim=-1)
    grid = _grid(layout, odds.device)
    # index_select, whose backward pass is many times faster on a GPU than that of [].
    by_candidate = odds.index_select(-1, grid.flatten()).unflatten(-1, grid.shape)
    tokens = torch.zeros_like(by_candidate[..., :1])
    shares = torch.cat([tokens, by_candidate], dim=-1).softmax(dim=-1)
    if weights is not None:
        # Copies of the weights, so that their gradient is summed in steps: over vectors, rows,
        # heads. A single sum over all of these loses digits that matter for differences of alphas.
        by_row = weights.to(wide).expand(*shares.shape[:2], -1)[:, :, None].expand(shares.shape[:4])
        shares = shares * by_row[..., None]
    of_tokens = shares[..., 0].sum(dim=-1, keepdim=True)
    of_vectors = _by_vector(shares[..., 1:], layout)
    contexts = of_vectors.to(context_v.dtype) @ context_v
    mixed: Tensor = (of_tokens * tokens_only + contexts).to(q.dtype)
    return mixed


def _by_vector(shares: Tensor, layout: CandidateLayout) -> Tensor:
    """Return shares ``(..., candidates, longest)`` as ``(..., total)``, summed over candidates."""
    if layout.shared:
        return shares.sum(dim=-2)
    return shares.flatten(-2).index_select(-1, _places(layout, shares.device))


@lru_cache(maxsize=256)
def _grid(layout: CandidateLayout, device: torch.device) -> Tensor:
    """Return ``(candidates, longest)``: the index of each vector, ``total`` where there is none."""
    longest = max(layout.lengths)
    with torch.inference_mode(False):
        grid = torch.full((len(layout.lengths), longest), layout.total)
        for candidate, length in enumerate(layout.lengths):
            start = layout.rows(candidate).start
            grid[candidate, :length] = torch.arange(start, start + length)
        return grid.to(device)


@lru_cache(maxsize=256)
def _places(layout: CandidateLayout, device: torch.device) -> Tensor:
    """Return ``(total,)``: the position of separate candidates' vectors in the flattened grid."""
    grid = _grid(layout, torch.device("cpu")).flatten()
    with torch.inference_mode(False):
        return (grid < layout.total).nonzero().flatten().to(device)
