"""The two levels of the search as Lightning sees them: paired batches, and the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dpl_nas.backbone import TextInputs
from dpl_nas.config import DartsSettings
from dpl_nas.nni.supermodule import supermodules
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Space
from dpl_nas.strategy.supernet.constraint import ExpectedCost
from dpl_nas.strategy.supernet.loop import SupernetModule
from dpl_nas.training.batches import FewShotImages, endless_rows, epoch_rows
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.losses import Loss

if TYPE_CHECKING:
    from dpl_nas.strategy.supernet.progress import SearchProgress

__all__ = ["PromptModule", "SearchBatches"]

#: Images, labels, and the weight of their mean in the mean over the batch of all processes.
Batch = tuple[Tensor, Tensor, float]


class SearchBatches:
    """Batches of an epoch, ``{"train": batch, "val": batch}``; both parts are shuffled afresh.

    Every training image comes once an epoch. Validation batches go round all validation images in
    an order that is shuffled anew (the released code took the same first 16 images at every
    step). ``epoch()`` decides the order, so a resumed epoch has the same one.
    """

    def __init__(
        self,
        training: FewShotImages,
        validation: FewShotImages,
        settings: DartsSettings,
        seed: int,
        epoch: Callable[[], int],
        ranks: Ranks = ALONE,
    ) -> None:
        self._training = training
        self._validation = validation
        self._settings = settings
        self._seed = derive_seed(seed, "search")
        self._epoch = epoch
        self._ranks = ranks

    def __len__(self) -> int:
        return math.ceil(len(self._training) / self._settings.batch_size)

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        epoch = self._epoch()
        batches = epoch_rows(len(self._training), self._settings.batch_size, self._seed, epoch)
        validation = endless_rows(
            len(self._validation),
            self._settings.validation_batch_size,
            derive_seed(self._seed, "validation"),
            epoch,
        )
        steps = [
            (rows, held_out, derive_seed(self._seed, "augment", epoch, step))
            for step, (rows, held_out) in enumerate(zip(batches, validation, strict=False))
        ]
        trained = [(rows, seed) for rows, _, seed in steps]
        validated = [(rows, seed) for _, rows, seed in steps]
        ranks = self._ranks
        with (
            closing(self._training.batches(trained, ranks)) as train,
            closing(self._validation.batches(validated, ranks)) as val,
        ):
            for (rows, held_out, _), mine, also_mine in zip(steps, train, val, strict=True):
                yield {
                    "train": (*mine, ranks.weight(len(rows))),
                    "val": (*also_mine, ranks.weight(len(held_out))),
                }


class PromptModule(SupernetModule):
    """The losses of the two levels.

    NNI's DARTS calls :meth:`training_step` with a validation batch for the alphas, then with
    a training batch for the prompts.
    """

    def __init__(
        self,
        settings: DartsSettings,
        text: TextInputs,
        loss: Loss,
        progress: SearchProgress,
        space: Space,
    ) -> None:
        super().__init__(settings, text, loss, progress.done_before)
        self._progress = progress
        self._constraint: ExpectedCost | None = None
        if settings.constraint is not None and space.limits:
            self._constraint = ExpectedCost(space)
            # The number of epochs until the limits hold.
            self._anneal = settings.epochs * settings.constraint.anneal

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The loss of one batch; the losses of several processes add up to it."""
        images, labels, weight = batch
        # NNI numbers the alpha step 2i and the prompt step 2i + 1.
        alphas_step = batch_idx % 2 == 0
        if self._constraint is not None:
            with torch.set_grad_enabled(alphas_step):
                self._hold(self._constraint)
        loss = self.step_loss(images, labels) * weight
        self._progress.note_loss("validation" if alphas_step else "train", loss.detach())
        return {"loss": loss}

    def _hold(self, constraint: ExpectedCost) -> None:
        """Keep the weights of all layers to the limits."""
        layers = supermodules(self.model.clip)
        epoch = self._epochs_before + self.trainer.current_epoch
        slack = max(0.0, 1 - epoch / self._anneal) if self._anneal else 0.0
        tilts = constraint.tilts({label: each.alpha for label, each in layers.items()}, slack)
        for label, layer in layers.items():
            layer.tilt = tilts[label]

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Do nothing; NNI forwards the hook."""
