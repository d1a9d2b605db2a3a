"""The tree-structured Parzen estimator (Bergstra et al. 2011)."""

from __future__ import annotations

import nni
from nni.nas.strategy import TPE as NniTPE  # noqa: N811

from dpl_nas.config import TpeSettings
from dpl_nas.nni.tpe import FittingTpe
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.trials_by_nni import run_nni

__all__ = ["TPE"]


class TPE(Strategy):
    """The tree-structured Parzen estimator: NNI's ``TPE``, whose draws fit the limits."""

    name = "tpe"
    Settings = TpeSettings
    settings: TpeSettings

    def explore(self, search: Search) -> None:
        """Search by NNI's tree-structured Parzen estimator."""
        run_nni(_QuickTPE(FittingTpe(search.space, self.settings, search.seed)), search)


class _QuickTPE(NniTPE):  # type: ignore[misc]
    """NNI's strategy without its sleep of a second after each trial."""

    def __init__(self, tuner: FittingTpe) -> None:
        super().__init__()
        self.tuner = tuner

    def _run(self) -> None:
        while self.wait_for_resource():
            try:
                sample = self.tuner.generate_parameters(self._model_count)
            except nni.NoMoreTrialError:
                return
            model = self.model_space.freeze(sample)
            self._model_to_id[model] = self._model_count
            self._model_count += 1
            self.engine.submit_models(model)
        self.engine.wait_models()
