"""The image tower, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dpl_nas.backbone.towers import Block, ImageTower
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.block import LayerContext, attend, split_heads

__all__ = ["project_tokens", "run_layers"]


def run_layers(
    tower: ImageTower,
    x: Tensor,
    contexts: Mapping[int, LayerContext],
    layers: range,
    path: KernelPath,
) -> Tensor:
    """Return hidden tokens ``(batch, tokens, width)`` after the given layers.

    After the last layer of a tower that pools its first token, only that token remains.
    """
    for layer in layers:
        block = tower.blocks[layer]
        only_first = tower.pools_first and layer == len(tower.blocks) - 1
        rows, q, k, v = project_tokens(block, x, only_first=only_first)
        x = block.finish(rows, attend(q, k, v, contexts.get(layer), None, path))
    return x


def project_tokens(
    block: Block, x: Tensor, *, only_first: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the tokens that go on, their queries, and all keys and values.

    With ``only_first`` the other tokens are not read afterwards: they are keys and values only.
    """
    if only_first:
        rows = x[:, :1]
        (q,) = split_heads(block.project(rows, "q"), 1, block.heads)
        k, v = split_heads(block.project(x, "kv"), 2, block.heads)
        return rows, q, k, v
    q, k, v = split_heads(block.project(x), 3, block.heads)
    return x, q, k, v
