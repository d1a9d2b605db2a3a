"""What people do by hand: the same length at all, the first or the last layers of towers."""

from __future__ import annotations

from dpl_nas.budget import uniform_designs
from dpl_nas.config import ManualSettings
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.study import Study

__all__ = ["Manual"]


class Manual(Strategy):
    """The best of the uniform designs that fit, by validation: the baseline of all searches.

    Those that use most of the budget of context vectors come first, in random order where
    they use as many, so that a small budget of trials goes to the most capable ones. For the
    front of accuracy against vectors, the order is random altogether.
    """

    name = "manual"
    Settings = ManualSettings
    settings: ManualSettings

    def explore(self, study: Study) -> None:
        """Try the designs."""
        designs = list(uniform_designs(study.space).values())
        designs.append(study.space.uniform(0))
        study.rng("manual").shuffle(designs)
        if study.objective == "accuracy":
            designs.sort(key=lambda design: -design.vectors)
        study.evaluate(designs)
