"""A tower as published: all tokens through all blocks, each candidate's attention on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone.towers import Block
from dpl_nas.prompted.block import attend, project, split_heads
from dpl_nas.prompted.contexts import ContextMixture
from dpl_nas.prompted.entries import Entry, LayerTokens, LowRankUpdate, put

__all__ = ["run_blocks"]


def run_blocks(
    blocks: Sequence[Block],
    x: Tensor,
    entries: Mapping[int, Entry],
    mask: Callable[[Tensor], Tensor | None] | None,
    *,
    place: int,
    held: int = 0,
) -> Tensor:
    """Return hidden tokens after all blocks, by definition; faster paths are tested against it.

    Parameters
    ----------
    blocks
        Blocks of a tower.
    x
        ``(batch, tokens, width)``.
    entries
        Entries of the layers that have any.
    mask
        Additive mask of hidden tokens, which broadcasts to ``(batch, heads, tokens, tokens)``;
        ``None`` for full attention.
    place, held
        Where learned tokens stand, and in place of how many that they find there.

    Returns
    -------
    Tensor
        ``(batch, tokens - held, width)``, without the learned tokens.
    """
    for layer, block in enumerate(blocks):
        entry = entries.get(layer)
        if isinstance(entry, LayerTokens):
            x = put(x, entry.vectors, place, held)
            held = len(entry.vectors)
        seen = None if mask is None else mask(x)
        if isinstance(entry, LowRankUpdate):
            q, k, v = split_heads(project(block, x, entry), 3, block.heads)
            x = block.finish(x, attend(block, q, k, v, entry, seen, "reference"))
        elif isinstance(entry, ContextMixture) and not entry.empty:
            x = _prompted_block(block, x, entry, seen)
        else:
            x = block.run(x, seen)
    return torch.cat([x[:, :place], x[:, place + held :]], dim=1) if held else x


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
