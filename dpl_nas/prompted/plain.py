"""A tower as published: all tokens through all blocks, each candidate's attention on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone.towers import Block
from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["run_blocks"]


def run_blocks(
    blocks: Sequence[Block],
    x: Tensor,
    contexts: Mapping[int, ContextMixture],
    mask: Tensor | None,
) -> Tensor:
    """Return hidden tokens after all blocks, by definition; faster paths are tested against it.

    Parameters
    ----------
    blocks
        Blocks of a tower.
    x
        ``(batch, tokens, width)``.
    contexts
        Contexts of the layers that have any.
    mask
        Additive mask ``(tokens, tokens)``, among tokens only; ``None`` for full attention.

    Returns
    -------
    Tensor
        ``(batch, tokens, width)``.
    """
    for layer, block in enumerate(blocks):
        mixture = contexts.get(layer)
        if mixture is None or mixture.empty:
            x = block.run(x, mask)
        else:
            x = _prompted_block(block, x, mixture, mask)
    return x


def _prompted_block(
    block: Block, x: Tensor, mixture: ContextMixture, mask: Tensor | None
) -> Tensor:
    """Run a block; each candidate is ``Attn(LN1(x), LN1([x; P]))`` by the block's own module."""
    attended = torch.zeros_like(x)
    for candidate, vectors in enumerate(mixture.candidates):
        own = _attention(block, x, vectors.to(x.dtype), mask)
        weight = 1.0 if mixture.weights is None else mixture.weights[candidate].to(x.dtype)
        attended = attended + weight * own
    return block.add(x, attended)


def _attention(block: Block, x: Tensor, vectors: Tensor, mask: Tensor | None) -> Tensor:
    keys = block.norm(torch.cat([x, vectors.expand(x.shape[0], -1, -1)], dim=1))
    if mask is not None:
        # Every token sees every context vector.
        mask = functional.pad(mask, (0, len(vectors)))
    return block.attention(keys[:, : x.shape[1]], keys, mask)
