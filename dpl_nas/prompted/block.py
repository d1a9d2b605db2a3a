"""One frozen block of open_clip: its parts, for towers that run them with contexts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.kernels import (
    Activation,
    CandidateLayout,
    KernelPath,
    candidate_attention,
    frozen_linear,
    frozen_mlp,
)
from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["LayerContext", "attend", "feed_forward", "layer_context", "project", "split_heads"]

#: QuickGELU's constant.
_QUICK = 1.702


@dataclass(frozen=True)
class LayerContext:
    """The keys and values of a layer's contexts, (heads, layout.total, head_dim) each."""

    keys: Tensor
    values: Tensor
    layout: CandidateLayout
    weights: Tensor | None


def layer_context(block: Any, mixture: ContextMixture) -> LayerContext:
    """LN1 of the vectors through the block's own projections, for all candidates at once."""
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    width = weight.shape[1]
    vectors = _norm(block.ln_1, mixture.vectors.to(block.ln_1.weight.dtype))
    both = functional.linear(vectors, weight[width:], bias[width:])
    keys, values = (
        part.view(len(vectors), block.attn.num_heads, -1).transpose(0, 1)
        for part in both.chunk(2, dim=-1)
    )
    return LayerContext(keys, values, mixture.layout, mixture.weights)


def project(block: Any, x: Tensor, part: slice = slice(None)) -> Tensor:
    """Queries, keys and values ``(..., 3 * width)`` of ``x`` ``(..., width)``.

    ``part`` of the ``3 * width`` outputs, where not all are needed.
    """
    attention = block.attn
    return frozen_linear(
        _norm(block.ln_1, x), attention.in_proj_weight[part], attention.in_proj_bias[part]
    )


def split_heads(block: Any, projected: Tensor) -> tuple[Tensor, ...]:
    """``(batch, tokens, n * width)`` as n of ``(batch, heads, tokens, head_dim)``."""
    batch, tokens, _ = projected.shape
    heads = block.attn.num_heads
    head_dim = block.attn.embed_dim // heads
    parts = projected.view(batch, tokens, -1, heads, head_dim)
    return tuple(part.transpose(1, 2) for part in parts.unbind(dim=2))


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context: LayerContext | None,
    mask: Tensor | None,
    path: KernelPath,
) -> Tensor:
    """Attention's result with the heads joined, ``(batch, queries, width)``."""
    if context is None:
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    else:
        mixed = candidate_attention(
            q, k, v, context.keys, context.values, context.layout, context.weights, mask, path=path
        )
    joined: Tensor = mixed.transpose(1, 2).flatten(2)
    return joined


def feed_forward(block: Any, x: Tensor, attended: Tensor) -> Tensor:
    """The rest of a pre-norm block: output projection, residual, MLP, residual."""
    out = block.attn.out_proj
    if isinstance(block.ls_1, nn.Identity) and isinstance(block.ls_2, nn.Identity):
        return _mlp(block, frozen_linear(attended, out.weight, out.bias, x), residual=True)
    h = x + block.ls_1(frozen_linear(attended, out.weight, out.bias))
    y: Tensor = h + block.ls_2(_mlp(block, h, residual=False))
    return y


def _norm(norm: Any, x: Tensor, scale: float = 1.0) -> Tensor:
    """``scale * norm(x)``, where a factor on the norm's own weights costs nothing."""
    weight, bias = norm.weight, norm.bias
    if x.dtype != weight.dtype:
        result: Tensor = norm(x) * scale
        return result
    if scale != 1.0:
        weight, bias = weight * scale, bias * scale
    return functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _mlp(block: Any, h: Tensor, *, residual: bool) -> Tensor:
    norm, first, last = block.ln_2, block.mlp.c_fc, block.mlp.c_proj
    activation, scale = _activation(block.mlp.gelu)
    exact = h.dtype == first.weight.dtype and h.dtype in (torch.float32, torch.float64)
    if activation is None or not exact or torch.is_autocast_enabled(h.device.type):
        result: Tensor = block.mlp(_norm(norm, h))
        return h + result if residual else result
    bias = first.bias if scale == 1.0 else first.bias * scale
    return frozen_mlp(
        _norm(norm, h, scale),
        first.weight,
        bias,
        last.weight,
        last.bias,
        activation,
        scale,
        h if residual else None,
    )


def _activation(module: nn.Module) -> tuple[Activation | None, float]:
    if isinstance(module, QuickGELU):
        return "silu", _QUICK
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return "gelu", 1.0
    return None, 1.0
