"""Differentiable prompt learning: DARTS over context lengths, on NNI's DARTS."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from nni.nas.evaluator.pytorch import Lightning, Trainer
from nni.nas.oneshot.pytorch.differentiable import DartsLightningModule
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import DARTS as NniDarts  # noqa: N811
from torch import nn

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import AlphaSettings, DartsSettings
from dpl_nas.errors import ConfigError
from dpl_nas.nni.engine import InProcessEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.observer import Observer
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Space
from dpl_nas.strategy.bilevel import PromptModule, SearchBatches
from dpl_nas.strategy.progress import SearchProgress
from dpl_nas.strategy.result import SearchResult
from dpl_nas.tasks import Task, few_shot_split
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.distributed import ALONE, Ranks, on_devices
from dpl_nas.training.model import class_captions
from dpl_nas.validation import validated

__all__ = ["DARTS"]


class DARTS(NniDarts):  # type: ignore[misc]
    """First-order DARTS (Liu et al. 2019) over the context lengths of a space.

    A configured value: :meth:`search` may be called again and again. As an NNI strategy it can
    also be called as ``strategy(model_space, engine)``.

    Parameters
    ----------
    **settings
        Those of :class:`~dpl_nas.config.DartsSettings`.

    Raises
    ------
    ConfigError
        If a setting is unknown or not valid.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = validated(DartsSettings, settings, "DARTS", ConfigError)
        self._seed = 1
        super().__init__(
            arc_learning_rate=self.settings.alphas.lr, warmup_epochs=self.settings.warmup_epochs
        )

    def search(
        self,
        space: Space,
        task: Task,
        *,
        shots: int = 16,
        seed: int = 1,
        backbone: Backbone | None = None,
        device: str = "cpu",
        folder: Path | None = None,
        observer: Observer | None = None,
        devices: int = 1,
        ranks: Ranks = ALONE,
    ) -> SearchResult:
        """Search ``space`` on the few-shot images of ``task``.

        Parameters
        ----------
        shots, seed
            Images a class, and which. With ``validation: split`` they are all that is seen.
        backbone
            Loaded from ``space.backbone`` if not given.
        folder
            Where ``alphas.jsonl``, TensorBoard files and the state go; a search that was
            interrupted there goes on and ends as it would have.
        devices
            GPUs, or processes on the CPU, that share every batch.
        ranks
            Which of them this is; ``devices`` sees to it.

        Raises
        ------
        TaskError
            If there are too few training images, or too few shots to split.
        SpaceError
            If the space does not fit the backbone.
        CheckpointError
            If the state in ``folder`` is damaged.
        ConfigError
            If there are fewer GPUs than ``devices``.
        """
        settings = self.settings
        backbone = backbone or load_backbone(space.backbone, device)
        if devices > 1:
            work = partial(_search, settings, space, task, shots=shots, seed=seed, folder=folder)
            return on_devices(devices, work, backbone, observer=observer)
        split = few_shot_split(task, shots, seed, settings.validation, settings.validation_shots)
        augmentation = (
            task.augmentation if settings.augmentation == "task" else settings.augmentation
        )
        training = FewShotImages(task.train, split.train, backbone, augmentation)
        # Validation images get the test transform, as published.
        validation = FewShotImages(task.train, split.validation, backbone, "none")
        text = class_captions(
            backbone, task.class_names, task.template, task.templates, settings.template
        )
        with quiet():
            model = PromptSpace(space, backbone, settings.init, derive_seed(seed, "supernet"))
            progress = SearchProgress(
                space, settings, validation, text, folder, observer or Observer(), ranks
            )
            trainer = Trainer(
                # 0 would mean nothing is left to do, and Lightning would complain about it.
                max_epochs=max(settings.epochs - progress.done, 1),
                accelerator="gpu" if backbone.device.type == "cuda" else "cpu",
                devices=[backbone.device.index or 0] if backbone.device.type == "cuda" else 1,
                logger=False,
                callbacks=[progress],
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            batches = SearchBatches(
                training,
                validation,
                settings,
                seed,
                epoch=lambda: progress.done_before + trainer.current_epoch,
                ranks=ranks,
            )
            module = PromptModule(settings, text, progress)
            evaluator = Lightning(
                module, trainer, train_dataloaders=batches, val_dataloaders=batches
            )
            run = _Run(settings, seed, progress.done)
            if not progress.complete:
                run(RawFormatModelSpace(model, evaluator), InProcessEngine())
        return SearchResult(
            architecture=space.architecture(progress.records[-1].choice),
            strategy="darts",
            shots=shots,
            seed=seed,
            records=tuple(progress.records),
            stopped_by=progress.stopped_by,
            seconds=progress.seconds,
            labels_seen=len(split.train) + len(split.validation),
        )

    # What follows is NNI's interface.

    def configure_oneshot_module(self, training_module: Any) -> DartsLightningModule:
        """NNI's search module, with this strategy's optimizer of the alphas."""
        return AlphaModule(
            training_module, settings=self.settings.alphas, warmup_epochs=self.warmup_epochs
        )

    def mutate_model(self, model: PromptSpace) -> PromptSpace:
        """Make the supernet; its alphas start as ``init_sd`` * randn, by the seed alone."""
        with torch.random.fork_rng(devices=[]):
            # NNI draws alphas from the global generator; they are drawn afresh below.
            result: PromptSpace = super().mutate_model(model)
        with torch.no_grad():
            for label, alpha in self._arch_parameters.items():
                generator = torch.Generator().manual_seed(derive_seed(self._seed, "alpha", label))
                draw = torch.randn(alpha.shape, generator=generator)
                alpha.copy_(self.settings.alphas.init_sd * draw)
        return result

    def train_dataloader(self, train_dataloader_fn: Any, val_dataloader_fn: Any) -> Any:
        """Paired batches of our own, or NNI's pairing of two loaders."""
        train = train_dataloader_fn()
        if isinstance(train, SearchBatches):
            return train
        return super().train_dataloader(train_dataloader_fn, val_dataloader_fn)


def _search(settings: DartsSettings, *arguments: Any, **keywords: Any) -> SearchResult:
    """:meth:`DARTS.search`, for other processes, into which NNI's strategies do not go."""
    return DARTS(**settings.model_dump()).search(*arguments, **keywords)


class _Run(DARTS):
    """One search: NNI's strategies hold the state of theirs and cannot be run again."""

    def __init__(self, settings: DartsSettings, seed: int, done: int) -> None:
        super().__init__(**settings.model_dump())
        self._seed = seed
        # NNI counts the epochs of this process only.
        self.warmup_epochs = max(settings.warmup_epochs - done, 0)


class AlphaModule(DartsLightningModule):  # type: ignore[misc]
    """NNI's first-order DARTS step with configurable Adam on the alphas."""

    def __init__(
        self, training_module: Any, *, settings: AlphaSettings, warmup_epochs: int
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
        """Adam, whose betas and weight decay NNI hard-codes."""
        return torch.optim.Adam(
            self.arch_parameters(),
            lr=self._alphas.lr,
            betas=self._alphas.betas,
            weight_decay=self._alphas.weight_decay,
        )

    def log_probs(self, probs: Any) -> None:
        """Nothing: it would copy every probability to the host; epochs are logged by us."""
