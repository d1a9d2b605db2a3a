"""The image tower: patches to hidden tokens, layer by layer, to the pooled feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.block import LayerContext, attend, feed_forward, project, split_heads

__all__ = ["embed_patches", "pool", "run_layers"]


def embed_patches(visual: Any, images: Tensor) -> Tensor:
    """Tokens ``(batch, 1 + patches, width)`` of images ``(batch, 3, size, size)``."""
    x = visual.conv1(images.to(visual.conv1.weight.dtype))  # [b, w, grid, grid]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
    tokens: Tensor = visual.ln_pre(x + visual.positional_embedding)
    return tokens


def run_layers(
    visual: Any,
    x: Tensor,
    contexts: Mapping[int, LayerContext],
    layers: range,
    path: KernelPath,
) -> Tensor:
    """Hidden tokens ``(batch, tokens, width)`` after the given layers.

    After the last layer of a tower that pools its class token, only that token is left.
    """
    blocks = visual.transformer.resblocks
    for layer in layers:
        block = blocks[layer]
        rows = x
        projected = project(block, x) if not _reads_one(visual, layer) else None
        if projected is not None:
            q, k, v = split_heads(block, projected)
        else:
            # Nothing reads the other tokens afterwards: they are keys and values only.
            width = x.shape[-1]
            rows = x[:, :1]
            (q,) = split_heads(block, project(block, rows, slice(0, width)))
            k, v = split_heads(block, project(block, x, slice(width, None)))
        attended = attend(q, k, v, contexts.get(layer), None, path)
        x = feed_forward(block, rows, attended)
    return x


def pool(visual: Any, x: Tensor) -> Tensor:
    """Image features ``(batch, embed)`` of hidden tokens; LN acts on each token alone."""
    if visual.pool_type == "tok":
        x = visual.ln_post(x[:, 0])
    elif visual.final_ln_after_pool:
        x = visual.ln_post(x[:, 1:].mean(dim=1))
    else:
        x = visual.ln_post(x[:, 1:]).mean(dim=1)
    features: Tensor = x if visual.proj is None else x @ visual.proj
    return features


def _reads_one(visual: Any, layer: int) -> bool:
    return visual.pool_type == "tok" and layer == len(visual.transformer.resblocks) - 1
