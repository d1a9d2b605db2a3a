"""DARTS with sampled weights: the Gumbel softmax."""

from __future__ import annotations

from typing import Any

import torch
from nni.nas.oneshot.pytorch.differentiable import LinearTemperatureScheduler
from nni.nas.oneshot.pytorch.supermodule.differentiable import GumbelSoftmax
from nni.nas.strategy import GumbelDARTS as NniGumbelDARTS

from dpl_nas.config import GumbelDartsSettings
from dpl_nas.seeds import derive_seed
from dpl_nas.strategy.darts import DARTS, AlphaModule

__all__ = ["GumbelDARTS"]


class GumbelDARTS(DARTS, NniGumbelDARTS):  # type: ignore[misc]
    """DARTS whose weights are drawn by the Gumbel softmax (Xie et al. 2019, SNAS).

    Early, a high temperature mixes all candidates; later, each step uses nearly one of them. The
    seed decides the noise of an epoch, so a resumed search draws the same noise. Choices and
    records are those of softmax(alpha), without noise.

    Parameters
    ----------
    **settings
        Fields of :class:`~dpl_nas.config.GumbelDartsSettings`.
    """

    name = "gumbel_darts"
    Settings = GumbelDartsSettings

    settings: GumbelDartsSettings

    def configure_oneshot_module(self, training_module: Any) -> GumbelAlphaModule:
        """Make NNI's search module, whose noise depends on the seed of the search."""
        settings = self.settings
        return GumbelAlphaModule(
            training_module,
            settings=settings.alphas,
            warmup_epochs=self.warmup_epochs,
            temperature=LinearTemperatureScheduler(
                settings.temperature.start, settings.temperature.end
            ),
            epochs=settings.epochs,
            done=self.done,
            seed=self.seed,
        )


class GumbelAlphaModule(AlphaModule):
    """Sets the temperature of an epoch, counted over all resumed parts, and its noise."""

    def __init__(
        self,
        training_module: Any,
        *,
        temperature: LinearTemperatureScheduler,
        epochs: int,
        done: int,
        seed: int,
        **settings: Any,
    ) -> None:
        super().__init__(training_module, **settings)
        self._temperature = temperature
        self._epochs = epochs
        self._epochs_before = done
        self._seed = seed

    def on_train_epoch_start(self) -> None:
        """Set temperature and noise before the first step of an epoch."""
        epoch = self._epochs_before + self.trainer.current_epoch
        value = self._temperature.step(epoch, self._epochs)
        for module in self.modules():
            if isinstance(module, GumbelSoftmax):
                module.tau = value
        # The caller restores the global generator.
        torch.manual_seed(derive_seed(self._seed, "gumbel", epoch))
        super().on_train_epoch_start()
