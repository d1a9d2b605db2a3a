"""Strategies of NNI or of users behind the interface of :class:`Strategy`."""

from __future__ import annotations

import copy
import math
import random
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from nni.nas.evaluator.pytorch import Lightning
from nni.nas.oneshot.pytorch.strategy import OneShotStrategy
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy.base import Strategy as NniStrategy
from torch import Tensor

from dpl_nas.config import SearchSettings, SupernetSettings
from dpl_nas.engine import Cost, StopReason
from dpl_nas.errors import StrategyError
from dpl_nas.io.arguments import checked
from dpl_nas.nni.engine import InProcessEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.seeds import derive_seed, derive_short_seed
from dpl_nas.space.fitting import project
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.loop import EpochBatches, SupernetModule, supernet_trainer
from dpl_nas.strategy.trials_by_nni import run_nni

__all__ = ["from_nni"]

Batch = tuple[Tensor, Tensor]


@checked(StrategyError)
def from_nni(strategy: NniStrategy, settings: SearchSettings | None = None) -> Strategy:
    """A strategy of NNI behind the interface of :class:`Strategy`.

    A multi-trial strategy trains architectures one by one, within the budget. A one-shot strategy
    trains a supernet (with the recipe of :class:`~dpl_nas.config.SupernetSettings`); what it
    exports is projected onto the limits of the space.

    Each search begins with a copy of ``strategy`` as it is now. The seed of the search starts the
    random generators of the copy; without a seed NNI would start them at random.
    """
    kept = (settings or SearchSettings()).model_dump(mode="json")
    if isinstance(strategy, OneShotStrategy):
        return _OneShot(strategy, **kept)
    return _MultiTrial(strategy, **kept)


def _name(strategy: NniStrategy) -> str:
    # The ledger tells searches apart by this.
    return f"nni:{type(strategy).__module__}.{type(strategy).__qualname__}"


def _begin(strategy: NniStrategy, search: Search) -> Any:
    """Copy the strategy, with random generators that the seed of the search decides."""
    # A lock cannot be copied; two copies may share one.
    locks = {
        id(each): each
        for each in vars(strategy).values()
        if isinstance(each, type(threading.Lock()))
    }
    copied = copy.deepcopy(strategy, locks)
    for part in (copied, getattr(copied, "tuner", None)):
        for name, value in vars(part).items() if part is not None else ():
            seed = derive_seed(search.seed, "foreign", name)
            if isinstance(value, random.Random):
                setattr(part, name, random.Random(seed))
            elif isinstance(value, np.random.RandomState):
                short = derive_short_seed(search.seed, "foreign", name)
                setattr(part, name, np.random.RandomState(short))
            elif isinstance(value, np.random.Generator):
                setattr(part, name, np.random.default_rng(seed))
    return copied


class _MultiTrial(Strategy):
    def __init__(self, strategy: NniStrategy, **settings: Any) -> None:
        super().__init__(**settings)
        self._strategy = strategy
        self.name = _name(strategy)

    def explore(self, search: Search) -> None:
        run_nni(_begin(self._strategy, search), search)


class _OneShot(Strategy):
    Settings = SupernetSettings
    plans = True
    default_budget = None

    settings: SupernetSettings

    def __init__(self, strategy: OneShotStrategy, **settings: Any) -> None:
        super().__init__(**settings)
        self._strategy = strategy
        self.name = _name(strategy)

    def explore(self, search: Search) -> Found:
        supernet = Supernet(search, self.settings)
        # The work of its step is not known: it counts as much as the dearest step of this package.
        steps = 2 * supernet.steps_an_epoch
        epochs = supernet.affordable_epochs(lambda _: steps, 0)
        settings = self.settings.model_copy(update={"epochs": epochs})
        strategy = _begin(self._strategy, search)
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(search.seed, "foreign"))
            model = PromptSpace(
                search.space,
                search.backbone,
                settings.init,
                derive_seed(search.seed, "supernet"),
                supernet.offsets,
            )
            trainer = supernet_trainer(search.backbone, epochs)
            train, validation = (
                EpochBatches(
                    images, settings.batch_size, search.seed, lambda: trainer.current_epoch
                )
                for images in (supernet.training, supernet.validation)
            )
            module = _Module(settings, supernet.text, supernet.loss, epochs_before=0)
            evaluator = Lightning(
                module, trainer, train_dataloaders=train, val_dataloaders=validation
            )
            try:
                strategy(RawFormatModelSpace(model, evaluator), InProcessEngine())
            except ImportError as error:
                raise StrategyError(
                    f"{type(strategy).__name__} needs a package that is not installed ({error}): "
                    "install it, or use another strategy"
                ) from error
            scores = _scores(search, strategy, next(iter(strategy.list_models(limit=1))).sample)
        images = (len(supernet.training) + len(supernet.validation)) * epochs
        search.charge("supernet", Cost(steps=steps * epochs, images=images))
        return Found(project(search.space, scores), stopped_by=StopReason.EPOCHS)


def _scores(search: Search, strategy: Any, sample: Mapping[str, Any]) -> dict[str, list[float]]:
    """Log probabilities if the strategy has them; else 0 for what it exports, -1 for the rest."""
    module = getattr(strategy, "oneshot_module", None)
    probabilities = (
        module.export_probs() if module is not None and hasattr(module, "export_probs") else {}
    )
    scores = {}
    for label, tower, _ in search.space.labels():
        lengths = search.space.towers[tower].lengths
        found = probabilities.get(label)
        scores[label] = [
            math.log(max(float(found[str(length)]), 1e-300))
            if found
            else float(str(length) == str(sample[label])) - 1.0
            for length in lengths
        ]
    return scores


class _Module(SupernetModule):
    """The loss, as the training step and the validation step of NNI."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        del batch_idx
        images, labels = batch
        loss = self.step_loss(images, labels)
        if torch.is_grad_enabled() and not loss.requires_grad:
            # The path has no vectors: its gradients are zeros.
            loss = loss + 0 * torch.stack([each.sum() for each in self.model.parameters()]).sum()
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.training_step(batch, batch_idx)
        self.log("default", -loss)
        return loss
