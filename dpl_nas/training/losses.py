"""Losses that training minimises; the loops know only this interface.

A recipe's loss (:func:`recipe_loss`) is that of trials and of the final training. Supernets
minimise the plain cross-entropy (:class:`dpl_nas.strategy.supernet.images.Supernet`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.prompted import Outputs
from dpl_nas.tasks import Task
from dpl_nas.training.teacher import Teacher, ZeroShotTeacher

__all__ = [
    "CrossEntropy",
    "DistilledCrossEntropy",
    "Loss",
    "balancing_weights",
    "class_weights",
    "distillation_loss",
    "loss_weights",
    "recipe_loss",
    "weighted_cross_entropy",
]


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
    """Cross-entropy of the logits and the labels.

    Attributes
    ----------
    weights
        Weight of each class (classes,); ``None`` if all are 1 (:func:`class_weights`).
    """

    teacher: None = None
    remedy: str = ""
    weights: Tensor | None = field(default=None, compare=False)

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch."""
        del opinions
        return weighted_cross_entropy(outputs.logits, labels, self.weights)


@dataclass(frozen=True)
class DistilledCrossEntropy:
    """Cross-entropy, and ``weight`` times the divergence from a teacher's logits.

    Attributes
    ----------
    teacher
        Teacher whose opinions are logits (batch, classes).
    temperature
        Temperature of both soft-maxes.
    weights
        Weight of each class in the cross-entropy, as of :class:`CrossEntropy`.
    """

    teacher: Teacher
    weight: float
    temperature: float
    weights: Tensor | None = field(default=None, compare=False)
    remedy: str = (
        "set train.distillation.temperature nearer to 1 and train.distillation.weight lower"
    )

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch."""
        if opinions is None:
            raise ValueError("expected the teacher's logits, found None")
        loss = weighted_cross_entropy(outputs.logits, labels, self.weights)
        return loss + self.weight * distillation_loss(outputs.logits, opinions, self.temperature)


def recipe_loss(settings: TrainSettings, task: Task, backbone: Backbone, labels: Tensor) -> Loss:
    """Return the loss that the settings of a training define.

    Parameters
    ----------
    labels
        Labels (images,) of the images that are trained on.
    """
    weights = loss_weights(settings, task, backbone, labels)
    distillation = settings.distillation
    # A weight of 0 must not cost a forward pass of the teacher.
    if not distillation.weight:
        return CrossEntropy(weights=weights)
    teacher = ZeroShotTeacher(backbone, task.templates or (task.template,), task.class_names)
    return DistilledCrossEntropy(teacher, distillation.weight, distillation.temperature, weights)


def loss_weights(
    settings: TrainSettings, task: Task, backbone: Backbone, labels: Tensor
) -> Tensor | None:
    """Return :func:`class_weights` on the backbone's device if the loss shall balance classes."""
    if settings.balance != "loss":
        return None
    return class_weights(labels, len(task.class_names)).to(backbone.device)


def balancing_weights(settings: TrainSettings, labels: Tensor, classes: int) -> Tensor | None:
    """Return :func:`class_weights` if classes shall count the same, in whatever way; else ``None``.

    It is for what has no batches of its own to balance.
    """
    return None if settings.balance == "none" else class_weights(labels, classes)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return weights (classes,) with which every class of ``labels`` counts the same.

    They are reciprocal to the number of images; their mean over images is 1. A class without
    images has 0.
    """
    counts = torch.bincount(labels, minlength=classes).float()
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over the batch of each image's cross-entropy times its class's weight.

    The sum is divided by the number of images, not by their weights, so that a batch with heavier
    images counts for more, and the mean over an epoch is that of all images at once.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels)
    return (functional.cross_entropy(logits, labels, reduction="none") * weights[labels]).mean()


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
