"""The image tower, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor

from dpl_nas.backbone.towers import Block, ImageTower
from dpl_nas.kernels import CandidateLayout, KernelPath
from dpl_nas.prompted.block import (
    ReadyEntries,
    ReadyEntry,
    attend,
    layer_context,
    project,
    split_heads,
)
from dpl_nas.prompted.contexts import ContextMixture
from dpl_nas.prompted.entries import LayerTokens

__all__ = ["project_tokens", "run_layers"]


def run_layers(
    tower: ImageTower, x: Tensor, entries: ReadyEntries, layers: range, path: KernelPath
) -> Tensor:
    """Return hidden tokens ``(batch, tokens, width)`` after the given layers.

    After the last layer of a tower that pools its first token, only that token remains. Learned
    tokens do not remain: ``layers`` with any of them must go on to the last.
    """
    own, last = x.shape[1], len(tower.blocks) - 1
    for layer in layers:
        block, entry = tower.blocks[layer], entries.get(layer)
        if isinstance(entry, LayerTokens):
            x = x[:, :own]
            if layer == last or isinstance(entries.get(layer + 1), LayerTokens):
                # What becomes of them is not read: they are keys and values only.
                vectors = entry.vectors
                entry = layer_context(
                    block, ContextMixture(vectors, CandidateLayout((len(vectors),)))
                )
            else:
                x = torch.cat([x, entry.vectors.to(x.dtype).expand(len(x), -1, -1)], dim=1)
        only_first = tower.pools_first and layer == last
        rows, q, k, v = project_tokens(block, x, entry, only_first=only_first)
        x = block.finish(rows, attend(block, q, k, v, entry, None, path))
    return x[:, :own] if x.shape[1] > own else x


def project_tokens(
    block: Block, x: Tensor, entry: ReadyEntry | None = None, *, only_first: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the tokens that go on, their queries, and all keys and values.

    With ``only_first`` the other tokens are not read afterwards: they are keys and values only.
    """
    if only_first:
        rows = x[:, :1]
        (q,) = split_heads(project(block, rows, entry, "q"), 1, block.heads)
        k, v = split_heads(project(block, x, entry, "kv"), 2, block.heads)
        return rows, q, k, v
    q, k, v = split_heads(project(block, x, entry), 3, block.heads)
    return x, q, k, v
