"""The transformer blocks of open_clip, run with context vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.kernels import KernelPath, candidate_attention
from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["run_blocks"]


def run_blocks(
    blocks: nn.ModuleList,
    x: Tensor,
    contexts: Mapping[int, nn.Module],
    mask: Tensor | None,
    path: KernelPath = "reference",
) -> Tensor:
    """Hidden tokens after all blocks.

    Parameters
    ----------
    blocks
        ``ResidualAttentionBlock`` of open_clip, frozen.
    x
        ``(batch, tokens, width)``.
    contexts
        For layers with contexts: a module that returns a :class:`ContextMixture`.
    mask
        Additive, ``(tokens, tokens)``, among tokens only; ``None`` where all see all.
    path
        How attention is computed.

    Returns
    -------
    Tensor
        ``(batch, tokens, width)``.
    """
    for layer, block in enumerate(blocks):
        mixture = contexts[layer]() if layer in contexts else None
        if mixture is None or mixture.empty:
            x = _plain_block(block, x, mask)
        else:
            x = _prompted_block(block, x, mixture, mask, path)
    return x


def _plain_block(block: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    if block.attn.batch_first:
        result: Tensor = block(x, attn_mask=mask)
    else:
        result = block(x.transpose(0, 1), attn_mask=mask).transpose(0, 1)
    return result


def _prompted_block(
    block: Any, x: Tensor, mixture: ContextMixture, mask: Tensor | None, path: KernelPath
) -> Tensor:
    """A pre-norm block whose keys and values are LN1 of ``[x; contexts]``."""
    h = x + block.ls_1(_attention(block, x, mixture, mask, path))
    result: Tensor = h + block.ls_2(block.mlp(block.ln_2(h)))
    return result


def _attention(
    block: Any, x: Tensor, mixture: ContextMixture, mask: Tensor | None, path: KernelPath
) -> Tensor:
    attention = block.attn
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    batch, tokens, width = x.shape
    heads = attention.num_heads

    q, k, v = (
        part.view(batch, tokens, heads, -1).transpose(1, 2)  # [b, h, t, d]
        for part in functional.linear(block.ln_1(x), weight, bias).chunk(3, dim=-1)
    )
    # The vectors of all candidates are projected together.
    lengths = [len(vectors) for vectors in mixture.candidates]
    vectors = block.ln_1(torch.cat(mixture.candidates).to(x.dtype))
    keys, values = (
        part.view(len(vectors), heads, -1).transpose(0, 1)  # [h, lengths, d]
        for part in functional.linear(vectors, weight[width:], bias[width:]).chunk(2, dim=-1)
    )
    mixed = candidate_attention(
        q,
        k,
        v,
        torch.split(keys, lengths, dim=1),
        torch.split(values, lengths, dim=1),
        mixture.weights,
        mask,
        path=path,
    )
    result: Tensor = attention.out_proj(mixed.transpose(1, 2).flatten(2))
    return result
