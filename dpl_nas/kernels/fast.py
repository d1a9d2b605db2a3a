"""All candidates in one attention with a hand-written backward pass: the fastest exact path."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dpl_nas.kernels.layout import CandidateLayout

__all__ = ["applies", "candidate_attention"]

#: exp of it, times a few hundred vectors, is a float32. Scores that lead the tokens' by more
#: are left to the portable path.
_LARGEST_ODDS = 80.0

#: Squared gradient norms below this have lost digits.
_SMALLEST_NORM = 1e-30

#: torch's fused attention on CPUs. Unlike the public one it returns the log-normaliser, which
#: is needed to merge the candidates.
_FLASH = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_FLASH_BACKWARD = getattr(
    torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None
)

#: Below this many tokens, plain matrix products are as fast as the fused attention.
_FEW_TOKENS = 32


def applies(q: Tensor, layout: CandidateLayout) -> bool:
    """Return whether this path supports the types and devices of these inputs."""
    return (
        q.device.type in ("cpu", "cuda")
        and q.dtype in (torch.float32, torch.float64)
        and layout.total > 0
        and q.numel() > 0
        and not torch.is_autocast_enabled(q.device.type)
    )


def candidate_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_k: Tensor,
    context_v: Tensor,
    layout: CandidateLayout,
    weights: Tensor | None,
    mask: Tensor | None,
) -> Tensor | None:
    """Return :func:`dpl_nas.kernels.reference.candidate_attention`'s result, or ``None``.

    It is ``None`` if a context's score exceeds the tokens' log-normaliser by so much that the
    plain exponentials used here would overflow.

    With the odds ``e_j = exp(r_j - log z)`` of vector j against all tokens, candidate c has
    the normaliser ``Z_c = 1 + sum_{j in c} e_j`` (in units of z), so that the mixture is
    ``o_x sum_c w_c / Z_c + sum_j e_j v_j sum_{c has j} w_c / Z_c``, where ``o_x`` is attention
    over the tokens only. All entries stay within 0..exp(80), and none is divided by a weight.
    """
    weights = q.new_ones(1) if weights is None else weights.to(q.dtype)
    member = layout.membership(q)
    tokens_only, normaliser, shares = _attend(q, k, v, mask)
    odds = _odds(q, context_k, normaliser)
    if float(odds.amax()) > _LARGEST_ODDS:
        return None
    result: Tensor = _Merge.apply(
        q, k, v, context_k, context_v, weights, member, tokens_only, normaliser, shares,
        odds.exp_(),
    )  # fmt: skip
    return result


@torch.no_grad()
def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Any]:
    """Return attention over the tokens: result, log-normaliser (b, h, q), and any soft-max."""
    if mask is None and k.shape[2] >= _FEW_TOKENS and _flash_takes(q, k):
        result, normaliser = _FLASH(q, k, v, 0.0, False, scale=_scale(q))  # type: ignore[misc]
        return result, normaliser, None
    scores = torch.matmul(q, k.transpose(-2, -1)).mul_(_scale(q))
    if mask is not None:
        scores += mask
    peak = scores.amax(dim=-1, keepdim=True)
    shares = scores.sub_(peak).exp_()
    total = shares.sum(dim=-1, keepdim=True)
    shares.div_(total)
    return shares @ v, peak.add_(total.log_()).squeeze(-1), shares


def _flash_takes(q: Tensor, k: Tensor) -> bool:
    return (
        q.device.type == "cpu"
        and _FLASH is not None
        and _FLASH_BACKWARD is not None
        and q.shape[2] == k.shape[2]
        and q.stride(-1) == k.stride(-1) == 1
    )


@torch.no_grad()
def _odds(q: Tensor, context_k: Tensor, normaliser: Tensor) -> Tensor:
    """Return log-odds of each vector against all tokens, (heads, total, batch * queries)."""
    scores = torch.bmm(context_k, _by_head(q).transpose(1, 2)).mul_(_scale(q))
    return scores.sub_(_rows_by_head(normaliser)[:, None])


class _Merge(torch.autograd.Function):
    """Merge of contexts into the attention over tokens by the log-odds; see above.

    The attention itself is part of this function's backward pass: ``tokens_only``,
    ``normaliser``, ``shares`` and ``odds`` are computed from the other inputs, without a graph.

    Batch rows are the last axis of every tensor with a candidate or vector axis, so that short
    axes are never innermost.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context_k: Tensor,
        context_v: Tensor,
        weights: Tensor,
        member: Tensor,
        tokens_only: Tensor,
        normaliser: Tensor,
        shares: Tensor | None,
        odds: Tensor,
    ) -> Tensor:
        inverse = torch.matmul(member, odds).add_(1.0).reciprocal_()  # 1 / Z_c: [h, c, n]
        of_tokens = torch.matmul(weights, inverse)  # [h, n]
        weighted = inverse * weights[:, None]
        of_vectors = torch.matmul(member.T, weighted).mul_(odds)  # [h, total, n]
        # In the memory order of torch's attention, (batch, queries, heads, head_dim), so that
        # heads are joined without a copy.
        batch, heads, queries, head_dim = q.shape
        mixed = q.new_empty(batch, queries, heads, head_dim).transpose(1, 2)
        torch.mul(tokens_only, _rows_as(of_tokens, q)[..., None], out=mixed)
        _add_by_head(mixed, of_vectors.transpose(1, 2), context_v)
        ctx.save_for_backward(
            q, k, v, context_k, context_v, weights, member, tokens_only, normaliser, shares,
            odds, inverse, of_tokens, of_vectors,
        )  # fmt: skip
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (
            q, k, v, context_k, context_v, weights, member, tokens_only, normaliser, shares,
            odds, inverse, of_tokens, of_vectors,
        ) = ctx.saved_tensors  # fmt: skip
        scale = _scale(q)
        rows = _by_head(gradient)  # [h, n, d]
        # <gradient, value>, of the tokens' result and of each vector.
        by_tokens = _rows_by_head((gradient * tokens_only).sum(dim=-1))  # [h, n]
        by_vector = torch.bmm(context_v, rows.transpose(1, 2))  # [h, total, n]
        # <gradient, result of candidate c>: also the gradient of weight c in each row.
        by_candidate = torch.matmul(member, odds * by_vector)
        by_candidate.add_(by_tokens[:, None]).mul_(inverse)  # [h, c, n]
        grad_weights = by_candidate.sum(dim=(0, 2)) if ctx.needs_input_grad[5] else None

        pull = by_candidate.mul_(inverse).mul_(weights[:, None])
        grad_odds = by_vector.mul_(of_vectors)
        grad_odds.sub_(torch.matmul(member.T, pull).mul_(odds))  # [h, total, n]
        grad_context_v = torch.bmm(of_vectors, rows)
        grad_context_k = torch.bmm(grad_odds, _by_head(q)).mul_(scale)
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, grad_context_k, grad_context_v, grad_weights, *(None,) * 5

        # Odds are relative to the tokens: their gradient enters the log-normaliser's negatively.
        grad_normaliser = _rows_as(grad_odds.sum(dim=1), q).neg()
        grad_tokens = gradient * _rows_as(of_tokens, q)[..., None]
        grad_q, grad_k, grad_v = _attend_backward(
            q, k, v, tokens_only, normaliser, shares, grad_tokens, grad_normaliser,
            _rows_as(by_tokens * of_tokens, q),
        )  # fmt: skip
        _add_by_head(grad_q, grad_odds.transpose(1, 2), context_k, scale)
        return (
            grad_q, grad_k, grad_v, grad_context_k, grad_context_v, grad_weights, *(None,) * 5,
        )  # fmt: skip


def _attend_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    result: Tensor,
    normaliser: Tensor,
    shares: Tensor | None,
    gradient: Tensor,
    grad_normaliser: Tensor,
    inner: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return gradients of q, k, v from those of attention's result and log-normaliser.

    ``inner`` is ``<gradient, result>``, (b, h, q).
    """
    scale = _scale(q)
    if shares is None:
        # torch's backward takes no gradient of the normaliser. It uses ``result`` only in
        # <gradient, result>, from which that gradient is subtracted, so a result that is moved
        # along the gradient brings it in. The step is bounded by the values' size.
        norm = (gradient * gradient).sum(dim=-1)
        lost = (norm < _SMALLEST_NORM) & (grad_normaliser != 0)
        if not bool(lost.any()):
            step = grad_normaliser / norm.clamp_min(_SMALLEST_NORM)
            moved = torch.addcmul(result, gradient, step[..., None], value=-1.0)
            return _FLASH_BACKWARD(  # type: ignore[no-any-return,misc]
                gradient, q, k, v, moved, normaliser, 0.0, False, scale=scale
            )
        shares = torch.matmul(q, k.transpose(-2, -1)).mul_(scale)
        shares = shares.sub_(normaliser[..., None]).exp_()
    grad_scores = torch.matmul(gradient, v.transpose(-2, -1))
    grad_scores.sub_((inner - grad_normaliser)[..., None]).mul_(shares).mul_(scale)
    return (
        torch.matmul(grad_scores, k),
        torch.matmul(grad_scores.transpose(-2, -1), q),
        torch.matmul(shares.transpose(-2, -1), gradient),
    )


def _scale(q: Tensor) -> float:
    return float(q.shape[-1] ** -0.5)


def _by_head(x: Tensor) -> Tensor:
    """Reshape ``(b, h, q, d)`` to ``(h, b * q, d)``, a view where the memory order allows."""
    return x.transpose(0, 1).flatten(1, 2)


def _add_by_head(x: Tensor, left: Tensor, right: Tensor, scale: float = 1.0) -> None:
    """Add ``scale * left @ right``, (h, b * q, d), to ``x`` (b, h, q, d) in place."""
    batch, heads, queries, head_dim = x.shape
    if queries == 1 or batch == 1 or x.stride(0) == queries * x.stride(2):
        x.transpose(0, 1).view(heads, batch * queries, head_dim).baddbmm_(left, right, alpha=scale)
    else:
        product = torch.bmm(left, right).view(heads, batch, queries, head_dim)
        x.add_(product.transpose(0, 1), alpha=scale)


def _rows_by_head(x: Tensor) -> Tensor:
    """Reshape ``(b, h, q)`` to ``(h, b * q)``."""
    return x.transpose(0, 1).flatten(1)


def _rows_as(x: Tensor, q: Tensor) -> Tensor:
    """Reshape ``(h, b * q)`` to ``(b, h, q)``."""
    return x.view(x.shape[0], q.shape[0], q.shape[2]).transpose(0, 1)
