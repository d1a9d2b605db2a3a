"""Keeps a relaxed choice to the budget of its space."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dpl_nas.space import Space

__all__ = ["BudgetLagrangian"]


class BudgetLagrangian:
    """Multipliers for the expected cost of softmax(alpha), one a limit of the budget.

    The term is ``sum_i m_i * log(E[cost_i] / most_i)``; after each of its gradients, dual
    ascent: ``m_i = max(0, m_i + lr * log(E[cost_i] / most_i))``. The logarithm makes a budget of
    6 vectors, 12 times below where equal alphas begin, no steeper a constraint than one of 24.

    Parameters
    ----------
    space
        Whose limits hold.
    lr
        Of the multipliers.

    Attributes
    ----------
    multipliers
        ``(limits,)``, float64.
    """

    def __init__(self, space: Space, lr: float) -> None:
        self._space = space
        self._lr = lr
        self.multipliers = torch.zeros(len(space.limits), dtype=torch.float64)

    def excess(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """``log(E[cost] / most)`` of each limit, (limits,); 0 where it is met with equality."""
        expected = []
        lengths = {
            label: (tower, self._space.towers[tower].lengths)
            for label, tower, _ in self._space.labels()
        }
        for limit in self._space.limits:
            total = torch.zeros((), dtype=torch.float64)
            for label, logits in alphas.items():
                tower, offered = lengths[label]
                values = torch.tensor(offered, dtype=torch.float64, device=logits.device)
                mean = (logits.double().softmax(dim=-1) * values).sum()
                total = total.to(mean.device) + limit.per_vector[tower] * mean
            # A budget of 0 cannot be met by a soft-max; half a vector is as good as none.
            floor = 0.5 * max(limit.per_vector.values())
            expected.append(torch.log((total + 1e-12) / max(limit.most, floor)))
        return torch.stack(expected)

    def term(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """What is added to the loss of the alphas; moves the multipliers."""
        excess = self.excess(alphas)
        multipliers = self.multipliers.to(excess.device)
        term = (multipliers * excess).sum().float()
        self.multipliers = (multipliers + self._lr * excess.detach()).clamp_(min=0)
        return term
