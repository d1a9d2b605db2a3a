"""Manual designs: the same length at all, the first or the last layers of towers."""

from __future__ import annotations

from dpl_nas.config import ManualSettings
from dpl_nas.space.fitting import manual_designs
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search

__all__ = ["Manual"]


class Manual(Strategy):
    """The best of the manual designs that fit, by validation.

    Designs that use most of the limit of context vectors come first, so that a small budget of
    trials goes to the most capable ones. Designs with equally many vectors come in random order.
    For the front of accuracy against vectors, the whole order is random.
    """

    name = "manual"
    Settings = ManualSettings
    settings: ManualSettings

    def explore(self, search: Search) -> None:
        """Train and validate the designs."""
        designs = list(manual_designs(search.space).values())
        designs.append(search.space.uniform(0))
        search.rng("manual").shuffle(designs)
        if search.objective == "accuracy":
            designs.sort(key=lambda design: -design.vectors)
        search.evaluate(designs)
