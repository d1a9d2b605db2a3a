"""The plain probe of the towers: which of them to prompt alone, and then where."""

from __future__ import annotations

from dpl_nas.config import OneTowerSettings
from dpl_nas.space import Architecture, Tower
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search

__all__ = ["OneTower"]


class OneTower(Strategy):
    """The best manual design of one tower or the other, by validation.

    The first design of each tower alone in the order of
    :func:`~dpl_nas.space.fitting.portfolio` is tried. The tower whose design validates better has
    the rest of the budget, for its other designs; those of the other tower come last.
    """

    name = "one_tower"
    Settings = OneTowerSettings
    settings: OneTowerSettings

    def explore(self, search: Search) -> None:
        """Probe each tower, and go on with the better one."""
        designs: dict[Tower, list[Architecture]] = {}
        for design in portfolio(search.space).values():
            towers = {tower for tower, _, length in design.items() if length}
            if len(towers) == 1:
                designs.setdefault(towers.pop(), []).append(design)
        probes = search.evaluate(each[0] for each in designs.values())
        probed = dict(zip(designs, map(search.reward, probes), strict=False))
        for tower in sorted(probed, key=lambda tower: -probed[tower]):
            search.evaluate(designs[tower])
        if not designs:
            # No length above 0 fits, or no tower may be left without contexts.
            search.evaluate([search.space.uniform(0), *portfolio(search.space).values()])
