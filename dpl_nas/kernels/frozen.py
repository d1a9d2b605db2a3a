"""Layers with frozen weights: they compute and keep only what the input's gradient needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["Activation", "frozen_linear", "frozen_mlp"]

Activation = Literal["silu", "gelu"]

#: oneDNN's matrix product, faster than the BLAS behind torch.nn.functional.linear on some CPUs
#: (docs/performance.md) and equal to it in float32.
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

#: Multiply-adds below which a call of oneDNN costs more than it saves.
_SMALL = 1 << 22

#: Rows whose hidden units are held at once: so many that matrix products run at full rate, so
#: few that they stay in the cache between products. On other devices, each call costs more.
_ROWS = 1024


#: Whether torch.export traces: it knows plain operations alone. Older versions of torch only tell
#: whether anything is compiled.
_exporting: Callable[[], bool] = getattr(
    torch.compiler, "is_exporting", torch.compiler.is_compiling
)


def frozen_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None = None
) -> Tensor:
    """Return ``x @ weight.T + bias (+ residual)`` with constant ``weight`` and ``bias``.

    Parameters
    ----------
    x
        ``(..., in_features)``.
    weight, bias
        ``(out_features, in_features)`` and ``(out_features,)``.
    residual
        ``(..., out_features)``.

    Returns
    -------
    Tensor
        ``(..., out_features)``.
    """
    if _exporting() or not _by_onednn(x, weight):
        plain = functional.linear(x, weight, bias)
        return plain if residual is None else residual + plain
    result: Tensor = _Linear.apply(x, weight, bias, residual)
    return result


def frozen_mlp(
    x: Tensor,
    weight_in: Tensor,
    bias_in: Tensor,
    weight_out: Tensor,
    bias_out: Tensor,
    activation: Activation,
    scale: float = 1.0,
    residual: Tensor | None = None,
) -> Tensor:
    """Return ``act(x @ weight_in.T + bias_in) / scale @ weight_out.T + bias_out (+ residual)``.

    The weights and biases are constants.

    QuickGELU is ``u * sigmoid(s u) = silu(s u) / s`` with ``s = 1.702`` (Hendrycks and Gimpel
    2016): pass ``s x`` and ``s bias_in`` with ``scale=s``. Then no extra pass over the hidden
    units is needed.

    Parameters
    ----------
    x
        ``(..., width)``.
    weight_in, bias_in
        ``(hidden, width)`` and ``(hidden,)``.
    weight_out, bias_out
        ``(width, hidden)`` and ``(width,)``.
    residual
        ``(..., width)``.

    Returns
    -------
    Tensor
        ``(..., width)``.
    """
    if _exporting():
        units = functional.linear(x, weight_in, bias_in)
        active = functional.silu(units) if activation == "silu" else functional.gelu(units)
        plain = functional.linear(active, weight_out) / scale + bias_out
        return plain if residual is None else residual + plain
    result: Tensor = _Mlp.apply(
        x, weight_in, bias_in, weight_out, bias_out, activation, scale, residual
    )
    return result


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN takes the product; of weights with gaps it is a thousand times slower."""
    return (
        _ONEDNN is not None
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * weight.shape[0] >= _SMALL
        and (weight.is_contiguous() or weight.T.is_contiguous())
        and not torch.is_autocast_enabled("cpu")
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias`` without a graph."""
    if _by_onednn(x, weight):
        result: Tensor = _ONEDNN(x, weight, bias, "none", [], "")  # type: ignore[misc]
        return result
    return functional.linear(x, weight, bias)


def _parts(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(_ROWS) if rows.device.type == "cpu" else (rows,)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(weight)
        result = _product(x, weight, bias)
        # In its own memory, so the sum needs no more.
        return result if residual is None else result.add_(residual)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        inner = _product(gradient, weight.T) if ctx.needs_input_grad[0] else None
        return inner, None, None, gradient if ctx.needs_input_grad[3] else None


class _Mlp(torch.autograd.Function):
    """An MLP that keeps only the hidden units before the activation for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_in: Tensor,
        bias_in: Tensor,
        weight_out: Tensor,
        bias_out: Tensor,
        activation: Activation,
        scale: float,
        residual: Tensor | None,
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        result = torch.empty(len(rows), weight_out.shape[0], dtype=x.dtype, device=x.device)
        hidden = []
        for part, out in zip(_parts(rows), _parts(result), strict=True):
            units = _product(part, weight_in, bias_in)
            active = functional.silu(units) if activation == "silu" else functional.gelu(units)
            torch.add(bias_out, _product(active, weight_out), alpha=1 / scale, out=out)
            hidden.append(units)
        ctx.save_for_backward(weight_in, weight_out, *hidden)
        ctx.activation, ctx.scale = activation, scale
        if residual is not None:
            result.add_(residual.reshape(result.shape))
        return result.view(*x.shape[:-1], result.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight_in, weight_out, *hidden = ctx.saved_tensors
        activated = (
            torch.ops.aten.silu_backward
            if ctx.activation == "silu"
            else torch.ops.aten.gelu_backward
        )
        rows = gradient.reshape(-1, gradient.shape[-1])
        result = rows.new_empty(len(rows), weight_in.shape[1])
        for part, units, out in zip(_parts(rows), hidden, _parts(result), strict=True):
            inner = _product(part, weight_out.T)
            torch.mul(_product(activated(inner, units), weight_in.T), 1 / ctx.scale, out=out)
        past = gradient if ctx.needs_input_grad[7] else None
        return result.view(*gradient.shape[:-1], result.shape[-1]), *(None,) * 6, past
