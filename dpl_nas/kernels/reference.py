"""The definition of attention over tokens and candidate contexts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["candidate_attention"]


def candidate_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_keys: Sequence[Tensor],
    context_values: Sequence[Tensor],
    weights: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Weighted sum, over candidate contexts, of attention over ``[tokens; context]``.

    ``sum_c weights[c] * Attn(q, [k; k_c], [v; v_c])`` with scores scaled by
    ``head_dim ** -0.5``: the mixed operation of DARTS (Liu et al. 2019, eq. 2) over the
    context lengths of one layer. An output projection commutes with the sum, because it is
    affine and the weights sum to 1.

    Attention over the tokens alone is computed once. Each candidate then weighs it against
    its own vectors by the normalisers: with ``z = sum_t exp(s_t)`` over the tokens and the
    scores ``r_j`` of the context, ``Attn_c = (z * Attn(q, k, v) + sum_j exp(r_j) v_cj) /
    (z + sum_j exp(r_j))``.

    Parameters
    ----------
    q, k, v
        ``(batch, heads, tokens, head_dim)``.
    context_keys, context_values
        One ``(heads, length, head_dim)`` a candidate, shared by the batch; lengths differ
        and may be 0.
    weights
        ``(candidates,)``, summing to 1; ``None`` for a single candidate.
    mask
        Added to the scores between tokens, ``(tokens, tokens)``, 0 or ``-inf``; each token
        must see at least one token. Every token sees every context vector.

    Returns
    -------
    Tensor
        ``(batch, heads, tokens, head_dim)``, of the type of ``q``.

    Raises
    ------
    ValueError
        If the numbers of keys, values and weights differ, or there is no candidate.
    """
    candidates = len(context_keys)
    expected = 1 if weights is None else weights.numel()
    if not candidates == len(context_values) == expected:
        raise ValueError(
            f"expected keys and values of {expected} candidates, found {candidates} and "
            f"{len(context_values)}"
        )
    scale = q.shape[-1] ** -0.5
    # Scores of bfloat16 have 8 bits: their exponentials are summed in float32.
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q * scale
    scores = (q @ k.transpose(-2, -1)).to(wide)  # [b, h, t, t]
    if mask is not None:
        scores = scores + mask
    # The result does not depend on the peak, so neither does the gradient. Taking it off
    # keeps the normaliser's digits where scores are large.
    peak = scores.detach().amax(dim=-1, keepdim=True)
    scores = scores - peak
    normaliser = scores.logsumexp(dim=-1, keepdim=True)
    tokens_only = scores.softmax(dim=-1).to(v.dtype) @ v

    token_share: Tensor | float = 0.0  # [b, h, t, 1]
    contexts: Tensor | float = 0.0  # [b, h, t, d]
    for index, (key, value) in enumerate(zip(context_keys, context_values, strict=True)):
        rivals = (q @ key.transpose(-2, -1)).to(wide) - peak  # [b, h, t, length]
        shares = torch.cat([normaliser, rivals], dim=-1).softmax(dim=-1)
        if weights is not None:
            shares = shares * weights[index]
        token_share = token_share + shares[..., :1]
        contexts = contexts + shares[..., 1:].to(value.dtype) @ value
    return (token_share * tokens_only + contexts).to(q.dtype)
