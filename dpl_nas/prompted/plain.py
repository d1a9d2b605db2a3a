"""A tower as published: all tokens through all blocks, each candidate's attention on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["run_blocks"]


def run_blocks(
    blocks: nn.ModuleList, x: Tensor, contexts: Mapping[int, ContextMixture], mask: Tensor | None
) -> Tensor:
    """Hidden tokens after all blocks, by definition: what faster ways are tested against.

    Parameters
    ----------
    blocks
        ``ResidualAttentionBlock`` of open_clip, frozen.
    x
        ``(batch, tokens, width)``.
    contexts
        Of the layers that have any.
    mask
        Additive, ``(tokens, tokens)``, among tokens only; ``None`` where all see all.

    Returns
    -------
    Tensor
        ``(batch, tokens, width)``.
    """
    for layer, block in enumerate(blocks):
        mixture = contexts.get(layer)
        if mixture is None or mixture.empty:
            x = _plain_block(block, x, mask)
        else:
            x = _prompted_block(block, x, mixture, mask)
    return x


def _plain_block(block: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    if block.attn.batch_first:
        result: Tensor = block(x, attn_mask=mask)
    else:
        result = block(x.transpose(0, 1), attn_mask=mask).transpose(0, 1)
    return result


def _prompted_block(block: Any, x: Tensor, mixture: ContextMixture, mask: Tensor | None) -> Tensor:
    """A pre-norm block; each candidate ``Attn(LN1(x), LN1([x; P]))`` by the block's own module."""
    attended = torch.zeros_like(x)
    for candidate, vectors in enumerate(mixture.candidates):
        own = _attention(block, x, vectors.to(x.dtype), mask)
        weight = 1.0 if mixture.weights is None else mixture.weights[candidate].to(x.dtype)
        attended = attended + weight * own
    h = x + block.ls_1(attended)
    result: Tensor = h + block.ls_2(block.mlp(block.ln_2(h)))
    return result


def _attention(block: Any, x: Tensor, vectors: Tensor, mask: Tensor | None) -> Tensor:
    keys = block.ln_1(torch.cat([x, vectors.expand(len(x), -1, -1)], dim=1))
    queries = keys[:, : x.shape[1]]
    if mask is not None:
        # Every token sees every context vector.
        mask = functional.pad(mask, (0, len(vectors)))
    if not block.attn.batch_first:
        queries, keys = queries.transpose(0, 1), keys.transpose(0, 1)
    result: Tensor = block.attn(queries, keys, keys, attn_mask=mask, need_weights=False)[0]
    return result if block.attn.batch_first else result.transpose(0, 1)
