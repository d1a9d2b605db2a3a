"""Settings of the training of the context vectors of one architecture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dpl_nas.config.values import (
    Augmentation,
    Balance,
    Beta,
    NotNegative,
    Positive,
    Size,
    SizeOrZero,
    TextTemplate,
)
from dpl_nas.io.validation import Frozen

__all__ = ["Distillation", "InitSettings", "OptimizerSettings", "PromptInit", "TrainSettings"]


class InitSettings(Frozen):
    """Initial context vectors: normal with sd ``scale``, or uniform on [0, ``scale``)."""

    distribution: Literal["normal", "uniform"] = "normal"
    scale: Size = 0.02


class PromptInit(Frozen):
    """Initialisation of each tower's context vectors."""

    image: InitSettings = InitSettings()
    text: InitSettings = InitSettings()


class OptimizerSettings(Frozen):
    """An optimizer of context vectors and its learning-rate schedule, stepped by epoch.

    ``schedule: cosine`` decays to 0 over the epochs; the first ``warmup_epochs`` run at the
    constant rate ``warmup_lr``.
    """

    name: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Size = 3e-3
    momentum: Beta = 0.9
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: SizeOrZero = 0.0
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: NotNegative = 0
    warmup_lr: Size = 1e-5


class Distillation(Frozen):
    """``weight`` * KL(zero-shot teacher || prompted student), at ``temperature``.

    The teacher's class embedding is the normalised mean over all of the task's templates.
    """

    weight: SizeOrZero = 0.0
    temperature: Size = 1.0


class TrainSettings(Frozen):
    """Few-shot training of the context vectors of one architecture.

    Attributes
    ----------
    balance
        How classes with unequal numbers of images count the same: ``loss`` weights each image by
        the reciprocal of its class's number, ``batches`` draws every class equally often.
    class_features
        Whether the features of classes are learned with the context vectors, as offsets from those
        of captions or class means. ``None``: ``learned`` for a backbone without a text tower,
        which makes a linear classifier of it, else ``fixed``.
    """

    epochs: Positive = 40
    batch_size: Positive = 16
    optimizer: OptimizerSettings = OptimizerSettings()
    init: PromptInit = PromptInit()
    template: TextTemplate = "task"
    augmentation: Augmentation | Literal["task"] = "task"
    distillation: Distillation = Distillation()
    balance: Balance = "none"
    class_features: Literal["fixed", "learned"] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )

    def with_lr(self, lr: float) -> TrainSettings:
        """Return the same with another learning rate."""
        optimizer = self.optimizer.model_copy(update={"lr": lr})
        return self.model_copy(update={"optimizer": optimizer})
