"""Zero-shot CLIP as a teacher: its text features are means over all templates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.prompted import PromptedCLIP

__all__ = ["ZeroShotTeacher", "distillation_loss", "ensemble_features"]


@torch.no_grad()
def ensemble_features(
    model: PromptedCLIP, templates: tuple[str, ...], class_names: tuple[str, ...]
) -> Tensor:
    """Class features (classes, embed) of unit length: the mean over templates of unit features.

    The zero-shot ensemble of Radford et al. 2021, section 3.1.4.
    """
    total: Tensor | None = None
    for template in templates:
        captions = [template.replace("{}", name) for name in class_names]
        inputs = model.backbone.text_inputs(captions).to(model.backbone.device)
        features = functional.normalize(model.encode_text(inputs).float(), dim=-1)
        total = features if total is None else total + features
    if total is None:
        raise ValueError("expected at least one template")
    return functional.normalize(total, dim=-1)


class ZeroShotTeacher:
    """The plain backbone's opinion on images: logits (batch, classes)."""

    def __init__(
        self, backbone: Backbone, templates: tuple[str, ...], class_names: tuple[str, ...]
    ) -> None:
        self._model = PromptedCLIP(backbone, {})
        self._text = ensemble_features(self._model, templates, class_names)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of preprocessed images (batch, 3, S, S)."""
        return self._model.logits(self._model.encode_image(images), self._text)


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
