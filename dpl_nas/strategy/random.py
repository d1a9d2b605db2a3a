"""Random search."""

from __future__ import annotations

from nni.nas.strategy import Random as NniRandom

from dpl_nas.config import RandomSettings
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.trials_by_nni import nni_seed, run_nni

__all__ = ["Random"]


class Random(Strategy):
    """Architectures drawn uniformly from all that fit, each once: NNI's ``Random``."""

    name = "random"
    Settings = RandomSettings
    settings: RandomSettings

    def explore(self, search: Search) -> None:
        """Draw architectures, and train and validate them."""
        run_nni(NniRandom(seed=nni_seed(search, "random")), search, ahead=True)
