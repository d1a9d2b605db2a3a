"""The definition of attention over tokens and candidate contexts, as published."""

from __future__ import annotations

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
    """Return the weighted sum, over candidate contexts, of attention over ``[tokens; context]``.

    ``sum_c weights[c] * softmax(q [k; k_c]^T / sqrt(head_dim)) [v; v_c]``: the mixed operation
    of DARTS (Liu et al. 2019, eq. 2) over the context lengths of one layer. An output
    projection commutes with the sum, because it is affine and the weights sum to 1.

    Parameters
    ----------
    q
        ``(batch, heads, queries, head_dim)``.
    k, v
        ``(batch, heads, tokens, head_dim)``.
    context_k, context_v
        ``(heads, layout.total, head_dim)``, shared by the batch.
    layout
        Assignment of the vectors to candidates.
    weights
        ``(candidates,)``, summing to 1; ``None`` for a single candidate.
    mask
        Added to the scores between tokens, 0 or ``-inf``, ``(queries, tokens)`` or anything
        that broadcasts to ``(batch, heads, queries, tokens)``; each query must see at least
        one token. Every query sees every context vector.

    Returns
    -------
    Tensor
        ``(batch, heads, queries, head_dim)``, of the type of ``q``.

    Raises
    ------
    ValueError
        If the numbers of candidates, weights and vectors do not fit together.
    """
    scale = q.shape[-1] ** -0.5
    # Scores of bfloat16 have 8 bits: their exponentials are summed in float32.
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = (q @ k.transpose(-2, -1)).to(wide) * scale  # [b, h, q, t]
    if mask is not None:
        scores = scores + mask
    mixed = torch.zeros(q.shape, dtype=wide, device=q.device)
    for candidate in range(len(layout.lengths)):
        rows = layout.rows(candidate)
        rivals = (q @ context_k[:, rows].transpose(-2, -1)).to(wide) * scale  # [b, h, q, c]
        shares = torch.cat([scores, rivals], dim=-1).softmax(dim=-1).to(v.dtype)
        of_tokens, of_context = shares.split([k.shape[2], rivals.shape[-1]], dim=-1)
        attended = of_tokens @ v + of_context @ context_v[:, rows]
        mixed = mixed + (attended if weights is None else weights[candidate] * attended)
    return mixed.to(q.dtype)
