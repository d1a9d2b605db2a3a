"""Losses that training minimises; the loops know only this interface.

A recipe's loss (:func:`recipe_loss`) is that of trials and of the final training. Supernets
minimise the plain cross-entropy (:class:`dpl_nas.strategy.supernet.images.Supernet`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.prompted import Outputs
from dpl_nas.tasks import Task
from dpl_nas.training.teacher import Teacher, ZeroShotTeacher

__all__ = ["CrossEntropy", "DistilledCrossEntropy", "Loss", "distillation_loss", "recipe_loss"]


class Loss(Protocol):
    """A function of the model's outputs for a batch.

    A regulariser is a loss, too: its targets (features of the frozen CLIP, of texts or of
    images) are constants of its own, or the opinions of its teacher.
    """

    @property
    def teacher(self) -> Teacher | None:
        """The teacher that the loops ask about every image; ``None`` if there is none."""

    @property
    def remedy(self) -> str:
        """Advice if the loss is no longer finite, besides a lower learning rate; may be empty."""

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch, a scalar.

        Parameters
        ----------
        outputs
            Logits (batch, classes), and the features that they are made of.
        labels
            ``(batch,)``.
        opinions
            Opinions of :attr:`teacher` on the images, ``(batch, ...)``; ``None`` without one.
        """


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of the logits and the labels."""

    teacher: None = None
    remedy: str = ""

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch."""
        del opinions
        return functional.cross_entropy(outputs.logits, labels)


@dataclass(frozen=True)
class DistilledCrossEntropy:
    """Cross-entropy, and ``weight`` times the divergence from a teacher's logits.

    Attributes
    ----------
    teacher
        Teacher whose opinions are logits (batch, classes).
    temperature
        Temperature of both soft-maxes.
    """

    teacher: Teacher
    weight: float
    temperature: float
    remedy: str = (
        "set train.distillation.temperature nearer to 1 and train.distillation.weight lower"
    )

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch."""
        if opinions is None:
            raise ValueError("expected the teacher's logits, found None")
        loss = functional.cross_entropy(outputs.logits, labels)
        return loss + self.weight * distillation_loss(outputs.logits, opinions, self.temperature)


def recipe_loss(settings: TrainSettings, task: Task, backbone: Backbone) -> Loss:
    """Return the loss that the settings of a training define."""
    distillation = settings.distillation
    # A weight of 0 must not cost a forward pass of the teacher.
    if not distillation.weight:
        return CrossEntropy()
    teacher = ZeroShotTeacher(backbone, task.templates or (task.template,), task.class_names)
    return DistilledCrossEntropy(teacher, distillation.weight, distillation.temperature)


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) of logits (batch, classes), mean over the batch, times T^2.

    The T^2 keeps the gradient's scale when the temperature changes (Hinton et al. 2015).
    """
    loss = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    return loss * temperature**2
