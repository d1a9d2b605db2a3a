"""The parts that the training loops of all supernets share, for Lightning and NNI."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from nni.nas.evaluator.pytorch import LightningModule, Trainer
from torch import Tensor

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import SupernetSettings
from dpl_nas.seeds import derive_seed
from dpl_nas.training.batches import FewShotImages, epoch_rows
from dpl_nas.training.losses import Loss
from dpl_nas.training.optimizers import build_optimizer, learning_rate, set_learning_rate

__all__ = ["EpochBatches", "SupernetModule", "supernet_trainer"]


def supernet_trainer(
    backbone: Backbone, epochs: int, callbacks: Sequence[pl.Callback] = (), **more: Any
) -> Trainer:
    """NNI's trainer on the backbone's device, without logs, checkpoints and bars of its own."""
    on_gpu = backbone.device.type == "cuda"
    return Trainer(
        max_epochs=epochs,
        accelerator="gpu" if on_gpu else "cpu",
        devices=[backbone.device.index or 0] if on_gpu else 1,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **more,
    )


class SupernetModule(LightningModule):  # type: ignore[misc]
    """The loss of a prompted CLIP, and the optimizer of its context vectors.

    Parameters
    ----------
    loss
        Loss that is minimised.
    epochs_before
        Number of epochs that an earlier process has trained.
    """

    def __init__(
        self, settings: SupernetSettings, text: TextInputs, loss: Loss, epochs_before: int
    ) -> None:
        super().__init__()
        self._loss = loss
        self._settings = settings
        self._text = text
        self._epochs_before = epochs_before

    def step_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss over a batch of images (batch, 3, S, S) and labels (batch,)."""
        teacher = self._loss.teacher
        opinions = teacher.opinions(images) if teacher is not None else None
        return self._loss(self.model.clip.outputs(images, self._text), labels, opinions)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer of all parameters; NNI takes the alphas out."""
        return build_optimizer(self.model.parameters(), self._settings.prompts)

    def on_train_epoch_start(self) -> None:
        """Set the learning rate of the epoch."""
        epoch = self._epochs_before + self.trainer.current_epoch
        rate = learning_rate(self._settings.prompts, epoch, self._settings.epochs)
        for optimizer in self.trainer.optimizers:
            if not getattr(optimizer, "is_arch_optimizer", False):
                set_learning_rate(optimizer, rate)


class EpochBatches:
    """Batches of every image once an epoch; the seed and ``epoch()`` decide the order."""

    def __init__(
        self, images: FewShotImages, batch_size: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        self._images = images
        self._size = batch_size
        self._seed = derive_seed(seed, "search")
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._images) / self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self._epoch()
        rows = epoch_rows(len(self._images), self._size, self._seed, epoch)
        jobs = [
            (batch, derive_seed(self._seed, "augment", epoch, step))
            for step, batch in enumerate(rows)
        ]
        yield from self._images.batches(jobs)
