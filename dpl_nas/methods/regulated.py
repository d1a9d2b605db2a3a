"""Self-regulation: what is learned stays near the frozen CLIP, and is a mean over epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.io.validation import Frozen, Number
from dpl_nas.prompted import Outputs, PromptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.training.losses import loss_weights, weighted_cross_entropy
from dpl_nas.training.teacher import ensemble_features

__all__ = ["FrozenFeatures", "RegulatedCrossEntropy", "SelfRegulation", "regulated_loss"]


class SelfRegulation(Frozen):
    """The three regularisers of PromptSRC (Khattak et al. 2023, arXiv 2307.06948), and its mean.

    Attributes
    ----------
    image, text, logits
        Weights of the distances to the frozen CLIP's image features and class features, and of the
        divergence from its predictions (section 3.2).
    centre, deviation
        Of the Gaussian over epochs, counted from 1, that weights them in the mean (section 3.3).
        They are for the paper's 50 epochs, and scale with the number of epochs.
    """

    image: Number = Field(default=10.0, ge=0)
    text: Number = Field(default=25.0, ge=0)
    logits: Number = Field(default=1.0, ge=0)
    centre: Number = Field(default=30.0, gt=0)
    deviation: Number = Field(default=30.0, gt=0)

    def epoch_weights(self, epochs: int) -> tuple[float, ...]:
        """Return the weight of each epoch, which sum to 1."""
        scale = epochs / _EPOCHS
        centre, deviation = self.centre * scale, self.deviation * scale
        density = [
            math.exp(-0.5 * ((epoch - centre) / deviation) ** 2) for epoch in range(1, epochs + 1)
        ]
        return tuple(each / sum(density) for each in density)


#: Epochs of the released few-shot recipe.
_EPOCHS = 50


class FrozenFeatures:
    """The plain image tower, whose opinions are its features (batch, embed) of length 1."""

    def __init__(self, backbone: Backbone) -> None:
        self._model = PromptedCLIP(backbone, {})

    @torch.no_grad()
    def opinions(self, images: Tensor) -> Tensor:
        """Return image features of preprocessed images (batch, 3, S, S)."""
        return functional.normalize(self._model.encode_image(images).float(), dim=-1)


@dataclass(frozen=True)
class RegulatedCrossEntropy:
    """Cross-entropy plus the three regularisers.

    Attributes
    ----------
    captions
        Class features (classes, embed) of length 1 of the frozen CLIP, means over templates.
    scale
        Factor of cosines in CLIP's logits.
    class_weights
        As in :func:`~dpl_nas.training.losses.weighted_cross_entropy`.
    """

    teacher: FrozenFeatures
    settings: SelfRegulation
    captions: Tensor
    scale: float
    class_weights: Tensor | None = None
    remedy: str = ""

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        """The mean over the batch."""
        if opinions is None:
            raise ValueError("expected the frozen features, found None")
        settings = self.settings
        opinions = opinions.to(outputs.logits.dtype)
        captions = self.captions.to(outputs.logits.dtype)
        image = functional.normalize(outputs.image_features.to(opinions.dtype), dim=-1)
        text = functional.normalize(outputs.text_features.to(opinions.dtype), dim=-1)
        divergence = functional.kl_div(
            functional.log_softmax(outputs.logits, dim=-1),
            functional.log_softmax(self.scale * opinions @ captions.T, dim=-1),
            reduction="sum",
            log_target=True,
        )
        return (
            weighted_cross_entropy(outputs.logits, labels, self.class_weights)
            + settings.image * functional.l1_loss(image, opinions)
            + settings.text * functional.l1_loss(text, captions)
            # As released: the mean over images and classes.
            + settings.logits * divergence / outputs.logits.numel()
        )


def regulated_loss(
    regulation: SelfRegulation,
    settings: TrainSettings,
    task: Task,
    backbone: Backbone,
    labels: Tensor,
) -> RegulatedCrossEntropy:
    """Return the loss for a task; ``labels`` (images,) are those that are trained on."""
    templates = task.templates or (task.template,)
    captions = ensemble_features(PromptedCLIP(backbone, {}), templates, task.class_names)
    return RegulatedCrossEntropy(
        FrozenFeatures(backbone),
        regulation,
        captions,
        float(backbone.logit_scale.exp()),
        loss_weights(settings, task, backbone, labels),
    )
