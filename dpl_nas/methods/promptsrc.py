"""Independent prompting with self-regulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.methods.ivlp import Ivlp
from dpl_nas.methods.regulated import SelfRegulation, regulated_loss
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.tasks import Task
from dpl_nas.training.losses import Loss

__all__ = ["PromptSrc"]


class PromptSrc(Ivlp):
    """PromptSRC: tokens of both towers that stay near the frozen CLIP.

    Attributes
    ----------
    regulation
        The regularisers, and the mean over epochs.
    """

    title: ClassVar[str] = "PromptSRC"
    paper: ClassVar[str] = "Khattak et al. 2023 (arXiv 2307.06948), released few-shot settings"

    regulation: SelfRegulation = SelfRegulation()

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 50 epochs of batches of 4."""
        del shots, images
        return coop_recipe(lr=2.5e-3, epochs=50, batch_size=4)

    def loss(self, settings: TrainSettings, task: Task, backbone: Backbone, labels: Tensor) -> Loss:
        """Return cross-entropy with the regularisers."""
        return regulated_loss(self.regulation, settings, task, backbone, labels)

    def averaging(self, epochs: int) -> Sequence[float]:
        """Return the Gaussian's weights of the epochs."""
        return self.regulation.epoch_weights(epochs)
