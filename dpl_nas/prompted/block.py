"""Attention of a layer over its tokens and contexts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone.towers import Block
from dpl_nas.kernels import CandidateLayout, KernelPath, candidate_attention
from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["LayerContext", "attend", "layer_context", "split_heads"]


@dataclass(frozen=True)
class LayerContext:
    """The keys and values of a layer's contexts, (heads, layout.total, head_dim) each."""

    keys: Tensor
    values: Tensor
    layout: CandidateLayout
    weights: Tensor | None


def layer_context(block: Block, mixture: ContextMixture) -> LayerContext:
    """Return the block's keys and values of the vectors, for all candidates at once."""
    both = block.project_context(mixture.vectors)
    keys, values = (
        part.view(len(mixture.vectors), block.heads, -1).transpose(0, 1)
        for part in both.chunk(2, dim=-1)
    )
    return LayerContext(keys, values, mixture.layout, mixture.weights)


def split_heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split ``(batch, tokens, parts * width)`` into parts ``(batch, heads, tokens, head_dim)``."""
    batch, tokens, _ = projected.shape
    split = projected.view(batch, tokens, parts, heads, -1)
    return tuple(part.transpose(1, 2) for part in split.unbind(dim=2))


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context: LayerContext | None,
    mask: Tensor | None,
    path: KernelPath,
) -> Tensor:
    """Return attention's result with the heads joined, ``(batch, queries, width)``."""
    if context is None:
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    else:
        mixed = candidate_attention(
            q, k, v, context.keys, context.values, context.layout, context.weights, mask, path=path
        )
    joined: Tensor = mixed.transpose(1, 2).flatten(2)
    return joined
