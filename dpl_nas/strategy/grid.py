"""Grid search."""

from __future__ import annotations

from nni.nas.strategy import GridSearch

from dpl_nas.config import GridSettings
from dpl_nas.errors import StrategyError
from dpl_nas.space import fitting
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.trials_by_nni import nni_seed, run_nni

__all__ = ["Grid"]


class Grid(Strategy):
    """Every architecture of a small space: NNI's ``GridSearch``."""

    name = "grid"
    Settings = GridSettings
    settings: GridSettings

    def explore(self, search: Search) -> None:
        """Train and validate all architectures.

        Raises
        ------
        StrategyError
            If the budget does not cover all of them.
        """
        count = fitting.count(search.space)
        affordable = search.engine.steps_left / search.engine.trial_cost.steps
        if count > affordable:
            raise StrategyError(
                f"grid search trains all {count:,} architectures that fit space "
                f"{search.space.name}, but the budget covers only {int(affordable):,} trials: "
                "search a smaller space, allow more, or use another strategy"
            )
        strategy = GridSearch(shuffle=self.settings.shuffle, seed=nni_seed(search, "grid"))
        run_nni(strategy, search, ahead=True)
