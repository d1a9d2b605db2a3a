"""Manual designs: the same length at all, the first or the last layers of towers."""

from __future__ import annotations

from dpl_nas.config import ManualSettings
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search

__all__ = ["Manual"]


class Manual(Strategy):
    """The best of the manual designs that fit, by validation.

    Designs are tried in the order of :func:`~dpl_nas.space.fitting.portfolio`, so a small budget
    of trials goes to those that an expert would try; no context vectors come last. For the front
    of accuracy against vectors, the order is random.
    """

    name = "manual"
    Settings = ManualSettings
    settings: ManualSettings

    def explore(self, search: Search) -> None:
        """Train and validate the designs."""
        designs = [*portfolio(search.space).values(), search.space.uniform(0)]
        if search.objective == "pareto":
            search.rng("manual").shuffle(designs)
        search.evaluate(designs)
