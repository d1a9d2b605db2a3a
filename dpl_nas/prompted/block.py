"""Attention of a layer over its tokens and contexts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone.towers import Block, Projection
from dpl_nas.kernels import CandidateLayout, KernelPath, candidate_attention
from dpl_nas.prompted.contexts import ContextMixture
from dpl_nas.prompted.entries import LayerTokens, LowRankUpdate

__all__ = [
    "LayerContext",
    "ReadyEntries",
    "ReadyEntry",
    "attend",
    "join_heads",
    "layer_context",
    "project",
    "split_heads",
]

_PARTS = {"qkv": slice(0, 3), "q": slice(0, 1), "kv": slice(1, 3)}


@dataclass(frozen=True)
class LayerContext:
    """The keys and values of a layer's contexts, (heads, layout.total, head_dim) each."""

    keys: Tensor
    values: Tensor
    layout: CandidateLayout
    weights: Tensor | None

    def candidates(self) -> Iterator[tuple[Tensor, Tensor, CandidateLayout]]:
        """Yield keys, values and layout of each candidate on its own."""
        for candidate, length in enumerate(self.layout.lengths):
            rows = self.layout.rows(candidate)
            yield self.keys[:, rows], self.values[:, rows], CandidateLayout((length,))


#: What enters a layer as it is computed with.
ReadyEntry = LayerContext | LayerTokens | LowRankUpdate
#: By layer; other layers are plain.
ReadyEntries = Mapping[int, ReadyEntry]


def layer_context(block: Block, mixture: ContextMixture) -> LayerContext:
    """Return the block's keys and values of the vectors, for all candidates at once."""
    both = block.project_context(mixture.vectors)
    keys, values = (
        part.view(len(mixture.vectors), block.heads, -1).transpose(0, 1)
        for part in both.chunk(2, dim=-1)
    )
    return LayerContext(keys, values, mixture.layout, mixture.weights)


def project(
    block: Block,
    x: Tensor,
    entry: ReadyEntry | None,
    part: Projection = "qkv",
    places: Tensor | None = None,
) -> Tensor:
    """Return :meth:`Block.project` with the low-rank update, if the layer has one."""
    if not isinstance(entry, LowRankUpdate):
        return block.project(x, part, places=places)
    return block.project(x, part, entry.of(block.norm(x), _PARTS[part]), places)


def split_heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split ``(batch, tokens, parts * width)`` into parts ``(batch, heads, tokens, head_dim)``."""
    batch, tokens, _ = projected.shape
    split = projected.view(batch, tokens, parts, heads, -1)
    return tuple(part.transpose(1, 2) for part in split.unbind(dim=2))


def attend(
    block: Block,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    entry: ReadyEntry | None,
    mask: Tensor | None,
    path: KernelPath,
) -> Tensor:
    """Return attention's result with the heads joined, ``(batch, queries, width)``.

    The block's :attr:`~dpl_nas.backbone.towers.Block.inner_norm` is included: unlike the output
    projection it does not commute with the sum over candidates, so it acts on each of them.
    """
    if not isinstance(entry, LayerContext):
        plain = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return join_heads(block, plain)
    if block.inner_norm is None or entry.weights is None:
        mixed = candidate_attention(
            q, k, v, entry.keys, entry.values, entry.layout, entry.weights, mask, path=path
        )
        return join_heads(block, mixed)
    of_candidates = [
        join_heads(block, candidate_attention(q, k, v, keys, values, own, None, mask, path=path))
        for keys, values, own in entry.candidates()
    ]
    weighted: Tensor = torch.stack(of_candidates, dim=-1) @ entry.weights.to(q.dtype)
    return weighted


def join_heads(block: Block, attended: Tensor) -> Tensor:
    """Return ``(batch, queries, width)`` of heads, after the block's inner norm."""
    joined: Tensor = attended.transpose(1, 2).flatten(2)
    return joined if block.inner_norm is None else block.inner_norm(joined)
