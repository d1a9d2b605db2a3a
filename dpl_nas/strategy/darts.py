"""Differentiable prompt learning: DARTS over context lengths, on NNI's DARTS."""

from __future__ import annotations

from typing import Any

import torch
from nni.nas.evaluator.pytorch import Lightning
from nni.nas.oneshot.pytorch.differentiable import DartsLightningModule
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import DARTS as NniDarts  # noqa: N811
from torch import nn

from dpl_nas.config import AlphaSettings, DartsSettings
from dpl_nas.engine import Cost
from dpl_nas.nni.engine import InProcessEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.observer import Stage
from dpl_nas.seeds import derive_seed
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.children import try_children
from dpl_nas.strategy.collapse import diagnose, initial_alphas
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.shortlist import draw_shortlist
from dpl_nas.strategy.supernet.bilevel import PromptModule, SearchBatches
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.loop import supernet_trainer
from dpl_nas.strategy.supernet.progress import SearchProgress

__all__ = ["DARTS", "AlphaModule"]


class DARTS(Strategy, NniDarts):  # type: ignore[misc]
    """First-order DARTS (Liu et al. 2019) over the context lengths of a space.

    A strategy only holds settings: :meth:`search` may be called again and again. As an NNI
    strategy it can also be called as ``strategy(model_space, engine)``.

    The supernet is trained for the epochs of its settings, or for fewer if the budget does not
    cover them and the ``shortlist``. An epoch costs its alpha steps and its prompt steps.

    By default it is plain DARTS: alphas learn at the published rate, there is no shortlist, so no
    trials, and nothing keeps the mixture to the limits of a space. ``--strategy darts`` has other
    settings, which ``make_strategy("darts")`` takes, and ``darts_released`` those of the paper's
    code.

    Parameters
    ----------
    **settings
        Fields of :class:`~dpl_nas.config.DartsSettings`.

    Raises
    ------
    ConfigError
        If a setting is unknown or not valid.
    """

    name = "darts"
    Settings = DartsSettings
    plans = True
    default_budget = None
    stage = Stage.SHORTLIST
    shares_batches = True

    settings: DartsSettings

    def __init__(self, *unnamed: Any, **settings: Any) -> None:
        Strategy.__init__(self, *unnamed, **settings)
        self.seed = 1
        # NNI's classes count from the first epoch of this process.
        self.done = 0
        NniDarts.__init__(
            self,
            arc_learning_rate=self.settings.alphas.lr,
            warmup_epochs=self.settings.warmup_epochs,
        )

    def explore(self, search: Search) -> Found:
        """Train the supernet, choose, and compare the shortlist and its children.

        Raises
        ------
        StrategyError
            If the budget does not cover one epoch of the supernet.
        """
        supernet = Supernet(search, self.settings)
        settings = self.settings
        wanted = settings.shortlist + settings.children
        reserved = min(wanted * search.engine.trial_cost.steps, search.engine.steps_left / 2)
        epochs = supernet.affordable_epochs(
            lambda epoch: self._cost(supernet, epoch).steps, reserved
        )
        settings = settings.model_copy(update={"epochs": epochs})
        progress = self._searched(search, supernet, settings)
        chosen = search.space.architecture(progress.records[-1].choice)
        # If there were fewer epochs than set, the budget ended the search.
        stopped_by = progress.stopped_by if epochs == self.settings.epochs else None
        # Other processes only help to train the supernet; the first process runs the trials.
        trained = False
        alphas = progress.records[-1].alpha
        if settings.shortlist and search.ranks.first:
            trained = bool(
                search.evaluate(draw_shortlist(search, chosen, alphas, settings.shortlist))
            )
            try_children(search, settings.children, guided=settings.guided)
        start = initial_alphas(alphas, search.seed, settings.alphas.init_sd)
        return Found(
            None if trained else chosen,
            tuple(progress.records),
            stopped_by,
            diagnose(search.space, alphas, start),
        )

    def _cost(self, supernet: Supernet, epoch: int) -> Cost:
        """The steps of an epoch: prompt steps and, after the warm-up, as many alpha steps."""
        settings = self.settings
        alpha_steps = 0 if epoch < settings.warmup_epochs else supernet.steps_an_epoch
        return Cost(
            steps=supernet.steps_an_epoch + alpha_steps,
            images=len(supernet.training)
            + alpha_steps * min(settings.validation_batch_size, len(supernet.validation)),
        )

    def _searched(
        self, search: Search, supernet: Supernet, settings: DartsSettings
    ) -> SearchProgress:
        with quiet():
            model = PromptSpace(
                search.space,
                search.backbone,
                settings.init,
                derive_seed(search.seed, "supernet"),
                supernet.offsets,
            )
            progress = SearchProgress(
                search.space,
                settings,
                supernet.validation,
                supernet.text,
                search.folder,
                search.observer,
                lambda epoch, seconds: search.charge(
                    f"epoch {epoch}", self._cost(supernet, epoch) + Cost(seconds=seconds)
                ),
                search.ranks,
                search.engine.settings.images,
            )
            # With 0 nothing would be left to do, and Lightning would warn about it.
            epochs = max(settings.epochs - progress.done, 1)
            trainer = supernet_trainer(search.backbone, epochs, [progress])
            batches = SearchBatches(
                supernet.training,
                supernet.validation,
                settings,
                search.seed,
                epoch=lambda: progress.done_before + trainer.current_epoch,
                ranks=search.ranks,
            )
            module = PromptModule(settings, supernet.text, supernet.loss, progress, search.space)
            evaluator = Lightning(
                module, trainer, train_dataloaders=batches, val_dataloaders=batches
            )
            run = self._fresh(search, settings, progress.done)
            if not progress.complete:
                # NNI draws alphas, and Gumbel noise, from the global generator.
                with torch.random.fork_rng(devices=[]):
                    run(RawFormatModelSpace(model, evaluator), InProcessEngine())
        return progress

    def _fresh(self, search: Search, settings: DartsSettings, done: int) -> DARTS:
        """A fresh NNI strategy: each holds the state of one search and cannot be run again."""
        run = type(self)(**settings.model_dump())
        run.seed = search.seed
        run.done = done
        # NNI counts the epochs of this process only.
        run.warmup_epochs = max(settings.warmup_epochs - done, 0)
        return run

    # What follows is NNI's interface.

    def configure_oneshot_module(self, training_module: Any) -> DartsLightningModule:
        """Make NNI's search module, with this strategy's optimizer of the alphas."""
        return AlphaModule(
            training_module,
            settings=self.settings.alphas,
            warmup_epochs=self.warmup_epochs,
        )

    def mutate_model(self, model: PromptSpace) -> PromptSpace:
        """Make the supernet; its alphas start as ``init_sd`` * randn, which the seed decides."""
        with torch.random.fork_rng(devices=[]):
            # NNI draws alphas from the global generator; they are drawn afresh below.
            result: PromptSpace = super().mutate_model(model)
        start = initial_alphas(self._arch_parameters, self.seed, self.settings.alphas.init_sd)
        with torch.no_grad():
            for label, alpha in self._arch_parameters.items():
                alpha.copy_(start[label])
        return result

    def train_dataloader(self, train_dataloader_fn: Any, val_dataloader_fn: Any) -> Any:
        """The paired batches of this package, or NNI's pairing of two loaders."""
        train = train_dataloader_fn()
        if isinstance(train, SearchBatches):
            return train
        return super().train_dataloader(train_dataloader_fn, val_dataloader_fn)


class AlphaModule(DartsLightningModule):  # type: ignore[misc]
    """NNI's first-order DARTS step with configurable Adam on the alphas."""

    def __init__(
        self,
        training_module: Any,
        *,
        settings: AlphaSettings,
        warmup_epochs: int,
    ) -> None:
        super().__init__(
            training_module, arc_learning_rate=settings.lr, warmup_epochs=warmup_epochs
        )
        self._alphas = settings

    def arch_parameters(self) -> list[nn.Parameter]:
        """The alphas in the order of the layers; NNI's order changes from run to run."""
        found = {
            parameter: None
            for module in self.supernet_modules()
            for parameter in module.arch_parameters()
        }
        return list(found)

    def configure_architecture_optimizers(self) -> torch.optim.Optimizer:
        """Make the Adam of the alphas; NNI's has fixed betas and weight decay."""
        return torch.optim.Adam(
            self.arch_parameters(),
            lr=self._alphas.lr,
            betas=self._alphas.betas,
            weight_decay=self._alphas.weight_decay,
        )

    def log_probs(self, probs: Any) -> None:
        """Do nothing: logging would copy every probability to the host. Records have the epochs."""
