"""What people do by hand: the same length at all, the first or the last layers of towers."""

from __future__ import annotations

from dpl_nas.config import ManualSettings
from dpl_nas.space.fitting import manual_designs
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search

__all__ = ["Manual"]


class Manual(Strategy):
    """The best of the manual designs that fit, by validation.

    Those that use most of the limit of context vectors come first, in random order where
    they use as many, so that a small budget of trials goes to the most capable ones. For the
    front of accuracy against vectors, the order is random altogether.
    """

    name = "manual"
    Settings = ManualSettings
    settings: ManualSettings

    def explore(self, search: Search) -> None:
        """Try the designs."""
        designs = list(manual_designs(search.space).values())
        designs.append(search.space.uniform(0))
        search.rng("manual").shuffle(designs)
        if search.objective == "accuracy":
            designs.sort(key=lambda design: -design.vectors)
        search.evaluate(designs)
