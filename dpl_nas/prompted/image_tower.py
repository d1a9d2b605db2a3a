"""The image tower, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dpl_nas.backbone.towers import ImageTower
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.block import LayerContext, attend, split_heads

__all__ = ["run_layers"]


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
        if tower.pools_first and layer == len(tower.blocks) - 1:
            # The other tokens are not read afterwards: they are keys and values only.
            rows = x[:, :1]
            (q,) = split_heads(block.project(rows, "q"), 1, block.heads)
            k, v = split_heads(block.project(x, "kv"), 2, block.heads)
        else:
            rows = x
            q, k, v = split_heads(block.project(x), 3, block.heads)
        x = block.finish(rows, attend(q, k, v, contexts.get(layer), None, path))
    return x
