"""The constraint that keeps a relaxed choice within the limits of its space."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dpl_nas.space import Space

__all__ = ["ExpectedCost"]

#: Tolerance as a share of the allowed cost; far below the cost of a vector.
_TOLERANCE = 1e-9


class ExpectedCost:
    """The distribution closest to softmax(alpha) whose expected cost is within the limits.

    Consider all distributions that choose each layer's length independently and whose expected
    cost is within the limits of the space. The one with the smallest Kullback-Leibler divergence
    from softmax(alpha) is ``softmax(alpha - sum_i m_i * cost_i)``: the I-projection (Csiszar
    1975, Annals of Probability 3). The ``m_i >= 0`` are the Lagrange multipliers of this problem.
    A multiplier is 0 if its limit holds anyway, and is solved for otherwise. So the limits hold
    at every step, and nothing has to be tuned.

    A cost is counted as a share of what its limit allows.

    Parameters
    ----------
    space
        Space whose limits hold.
    """

    def __init__(self, space: Space) -> None:
        labels = list(space.labels())
        most = max(len(space.towers[tower].lengths) for _, tower, _ in labels)
        self._labels = [label for label, _, _ in labels]
        self._sizes = [len(space.towers[tower].lengths) for _, tower, _ in labels]
        # (limits, layers, candidates); candidates that a layer lacks have no weight.
        self._costs = torch.zeros(len(space.limits), len(labels), most, dtype=torch.float64)
        for index, limit in enumerate(space.limits):
            for row, (_, tower, _) in enumerate(labels):
                lengths = torch.tensor(space.towers[tower].lengths, dtype=torch.float64)
                self._costs[index, row, : len(lengths)] = limit.per_vector[tower] * lengths
            # The shortest lengths alone may take all of it, but a softmax always gives the
            # others some weight: half a vector more is as good.
            least = float(self._costs[index, :, 0].sum()) + 0.5 * max(limit.per_vector.values())
            self._costs[index] /= max(limit.most, least)

    def at_first(self) -> Tensor:
        """The cost of equal alphas (limits,), as shares of what is allowed."""
        counts = torch.tensor(self._sizes, dtype=torch.float64)
        return (self._costs.sum(dim=-1) / counts).sum(dim=-1)

    def tilts(self, alphas: Mapping[str, Tensor], slack: float = 0.0) -> dict[str, Tensor]:
        """The part ``sum_i m_i * cost_i`` that is taken off each alpha for its cost, by label.

        Parameters
        ----------
        alphas
            Logits of each layer, one a candidate.
        slack
            Upper bound of the expected cost, in 0..1: on a logarithmic scale from the limits (0)
            to the cost of equal alphas (1).

        Returns
        -------
        dict
            Tensors of the shapes of ``alphas``. Gradients go through them: the multipliers depend
            on all alphas, so that these compete for what the limits allow.
        """
        logits = pad_sequence(
            [alphas[label].double() for label in self._labels],
            batch_first=True,
            padding_value=-math.inf,
        )
        allowed = self.at_first().clamp(min=1) ** slack
        # On the CPU: there are few numbers and many steps, and each would wait for a GPU.
        multipliers = self._solve(logits.detach().cpu(), allowed).to(logits.device)
        costs, allowed = self._costs.to(logits.device), allowed.to(logits.device)
        if logits.requires_grad and torch.is_grad_enabled():
            multipliers = _differentiable(multipliers, logits, costs, allowed)
        tilt = torch.einsum("i,ilc->lc", multipliers, costs)
        return {
            label: tilt[row, : self._sizes[row]].to(alphas[label].dtype)
            for row, label in enumerate(self._labels)
        }

    @torch.no_grad()
    def _solve(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Solve the convex dual problem: one limit after the other, and Newton's step for all.

        If two limits are nearly the same, the first method alone takes hundreds of rounds. The
        second alone may not come closer.
        """
        costs = self._costs
        multipliers = torch.zeros(len(costs), dtype=torch.float64)
        for _ in range(400):
            for index in range(len(costs)):
                others = multipliers.clone()
                others[index] = 0.0
                base = logits - torch.einsum("i,ilc->lc", others, costs)
                multipliers[index] = _root(base, costs[index], float(allowed[index]))
            if len(costs) <= 1:
                break
            missed = _missed(multipliers, logits, costs, allowed)
            if missed <= _TOLERANCE:
                break
            moved = _move(multipliers, logits, costs, allowed).clamp(min=0)
            if _missed(moved, logits, costs, allowed) < missed:
                multipliers = moved
        return multipliers


def _missed(multipliers: Tensor, logits: Tensor, costs: Tensor, allowed: Tensor) -> float:
    """Distance from the optimum: limits hold, and are reached if their multiplier is not 0."""
    weights = (logits - torch.einsum("i,ilc->lc", multipliers, costs)).softmax(dim=-1)
    room = allowed - torch.einsum("lc,ilc->i", weights, costs)
    return float(torch.minimum(multipliers, room).abs().max())


def _move(multipliers: Tensor, logits: Tensor, costs: Tensor, allowed: Tensor) -> Tensor:
    """One step of Newton's method for the limits that bind."""
    active = multipliers > 0
    tight = costs[active]
    weights = (logits - torch.einsum("i,ilc->lc", multipliers, costs)).softmax(dim=-1)
    expected = torch.einsum("lc,ilc->i", weights, tight)
    with torch.no_grad():
        centred = tight - torch.einsum("lc,ilc->il", weights, tight).unsqueeze(-1)
        covariance = torch.einsum("lc,ilc,jlc->ij", weights, centred, centred)
        # The matrix is singular if alphas are decided, or if limits are multiples of others.
        inverse = torch.linalg.pinv(covariance, rtol=1e-10, hermitian=True)
    moved = multipliers[active] + inverse @ (expected - allowed[active])
    return torch.zeros_like(multipliers).index_put((active.nonzero().squeeze(-1),), moved)


def _root(logits: Tensor, cost: Tensor, allowed: float) -> float:
    """The m >= 0 at which softmax(logits - m * cost) costs what is allowed; 0 if it costs less.

    Uses Newton's method on a decreasing function, within a bracket that is halved if it fails.
    """
    low, high, m = 0.0, math.inf, 0.0
    for _ in range(200):
        weights = (logits - m * cost).softmax(dim=-1)
        means = (weights * cost).sum(dim=-1, keepdim=True)
        excess = float(means.sum()) - allowed
        if abs(excess) <= _TOLERANCE or (m == 0.0 and excess <= 0):
            break
        if excess > 0:
            low = m
        else:
            high = m
        slope = float((weights * (cost - means) ** 2).sum())
        step = m + excess / slope if slope > 0 else math.inf
        if not low < step < high:
            step = 2 * low + 1 if math.isinf(high) else (low + high) / 2
        if step == m:
            break
        m = step
    return m


def _differentiable(multipliers: Tensor, logits: Tensor, costs: Tensor, allowed: Tensor) -> Tensor:
    """The same values, with their derivatives by the implicit function theorem.

    These are the derivatives of one step of Newton's method from the solution.
    """
    if not bool((multipliers > 0).any()):
        return multipliers
    moved = _move(multipliers, logits, costs, allowed)
    # If alphas are decided, hardly anything depends on a multiplier, and a step may lead
    # anywhere: then only its derivatives are used.
    near = (moved - multipliers).abs() <= 1e-6 * (1 + multipliers)
    return torch.where(near, moved, multipliers + (moved - moved.detach()))
