"""Successive halving over training epochs."""

from __future__ import annotations

import math

from dpl_nas.config import HalvingSettings
from dpl_nas.engine import StopReason
from dpl_nas.errors import StrategyError
from dpl_nas.space import fitting
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.search import Search

__all__ = ["Halving", "rungs"]

#: Number of candidates without a budget of steps, as is common in hyperparameter searches.
_CANDIDATES = 81


class Halving(Strategy):
    """Successive halving (Jamieson and Talwalkar 2016).

    Many candidates are trained for a few epochs, and the best of them for more. A training goes
    on where its last rung ended, so no epoch is paid for twice.
    """

    name = "halving"
    Settings = HalvingSettings
    plans = True
    settings: HalvingSettings

    def explore(self, search: Search) -> Found | None:
        """Train candidates rung by rung.

        Raises
        ------
        StrategyError
            If the budget does not cover one whole training.
        """
        engine = search.engine
        settings = self.settings
        epochs = rungs(settings.min_epochs, settings.eta, engine.epochs)
        an_epoch = engine.trial_cost.steps / engine.epochs
        count = _affordable(epochs, settings.eta, engine.steps_left / an_epoch)
        if count < 1:
            raise StrategyError(
                f"successive halving needs a budget of at least one whole trial of "
                f"{engine.trial_cost.steps} training steps"
            )
        chosen = fitting.distinct_sample(search.space, search.rng("halving"), count)
        for rung, until in enumerate(epochs):
            last = until == engine.epochs
            found = engine.evaluate(chosen, until, goes_on=not last or rung > 0)
            well = [each for each in found if each.outcome is not None]
            well.sort(key=lambda each: (-search.reward(each), each.number))
            kept = well if last else well[: max(1, len(chosen) // settings.eta)]
            chosen = [each.architecture for each in kept]
            for each in found:
                if last or each.architecture not in chosen:
                    engine.forget(each.architecture)
            if not chosen:
                break
        return None if engine.stopped_by else Found(stopped_by=StopReason.STRATEGY)


def rungs(first: int, eta: int, last: int) -> list[int]:
    """Epochs at which candidates are compared, from ``first`` or more up to ``last``.

    The rungs are ``last / eta ** k``, rounded. Each occurs once: between two equal ones nothing
    would be learned.
    """
    found = [last]
    while max(1, first) <= (lower := round(last / eta ** len(found))) < found[-1]:
        found.append(lower)
    return found[::-1]


def _cost(count: int, epochs: list[int], eta: int) -> int:
    """The total of epochs of ``count`` candidates over all rungs."""
    total, before = 0, 0
    for until in epochs:
        total += count * (until - before)
        before = until
        count = max(1, count // eta)
    return total


def _affordable(epochs: list[int], eta: int, most: float) -> int:
    """The most candidates whose halving takes at most ``most`` epochs."""
    if math.isinf(most):
        return _CANDIDATES
    low, high = 0, int(most) // epochs[0] + 1
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(middle, epochs, eta) <= most:
            low = middle
        else:
            high = middle - 1
    return low
