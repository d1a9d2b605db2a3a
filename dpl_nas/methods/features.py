"""Methods that leave both towers as they are, and work on their features alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.io.reprs import short_repr
from dpl_nas.kernels import KernelPath
from dpl_nas.methods.method import Method, Scorer
from dpl_nas.observer import Observer
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.captions import check_different
from dpl_nas.training.model import class_captions, image_features
from dpl_nas.training.problem import Problem
from dpl_nas.training.teacher import ensemble_features

__all__ = [
    "Captions",
    "FeatureMethod",
    "FittedMethod",
    "LabelledFeatures",
    "Views",
    "Worded",
    "caption_features",
]

#: One caption a class, or the mean over many; and none, for methods that have no use for them.
Worded = Literal["one", "ensemble"]
Captions = Worded | Literal["none"]


@dataclass(frozen=True)
class LabelledFeatures:
    """What such a method learns from.

    Attributes
    ----------
    images
        Image features (images, embed) as :meth:`FeatureMethod.score` has them, without
        augmentation.
    labels
        ``(images,)``.
    captions
        Class features (classes, embed) of length 1; (classes, 0) if the method has no captions.
    scale
        Factor of cosines in CLIP's logits.
    """

    images: Tensor
    labels: Tensor
    captions: Tensor
    scale: float

    __repr__ = short_repr

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.captions)


class FeatureMethod(Method):
    """A method on the features of the plain towers.

    Attributes
    ----------
    unit
        Whether image features have length 1.
    captions
        What stands for the classes.
    """

    unit: ClassVar[bool] = True

    captions: Captions

    @abstractmethod
    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        """Return logits (batch, classes) of image features (batch, embed)."""

    def scorer(self, tensors: Mapping[str, Tensor], backbone: Backbone, task: Task) -> Scorer:
        """Return the method in use; class features are computed once."""
        captions = caption_features(backbone, task, self.captions)
        return _FeatureScorer(self, tensors, PromptedCLIP(backbone, {}), captions)

    def scaled(self, features: Tensor) -> Tensor:
        """Return image features (images, embed), of length 1 if the method wants that."""
        return functional.normalize(features, dim=-1) if self.unit else features


class FittedMethod(FeatureMethod):
    """A method that learns from the features of labelled images."""

    @abstractmethod
    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        """Learn from features; ``problem`` and ``rows`` are what they are of."""

    def learn(
        self, problem: Problem, rows: Sequence[int], state: Path | None, observer: Observer
    ) -> Mapping[str, Tensor]:
        """Compute the features, and learn from them."""
        del state, observer
        backbone, task = problem.backbone, problem.task
        pictures = FewShotImages(task.pool, rows, backbone, "none")
        model = PromptedCLIP(backbone, {})
        features = LabelledFeatures(
            self.scaled(image_features(model, pictures).float()),
            pictures.labels.to(backbone.device),
            caption_features(backbone, task, self.captions),
            float(backbone.logit_scale.exp()),
        )
        return self.fit(features, problem, rows)


class _FeatureScorer:
    def __init__(
        self,
        method: FeatureMethod,
        tensors: Mapping[str, Tensor],
        model: PromptedCLIP,
        captions: Tensor,
    ) -> None:
        self._method, self._tensors = method, tensors
        self._model, self._captions = model, captions
        self._scale = float(model.backbone.logit_scale.exp())

    def with_path(self, path: KernelPath) -> Scorer:
        """Return the same with another implementation of attention."""
        model = self._model.with_path(path)
        return _FeatureScorer(self._method, self._tensors, model, self._captions)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of preprocessed images."""
        features = self._method.scaled(self._model.encode_image(images).float())
        return self._method.score(self._tensors, features, self._captions, self._scale)

    def predict(self, images: Tensor) -> Tensor:
        """Return the class index (batch,) of the same."""
        return self.logits(images).argmax(dim=-1)


@torch.no_grad()
def caption_features(backbone: Backbone, task: Task, captions: Captions) -> Tensor:
    """Return class features (classes, embed) of length 1; (classes, 0) for ``none``.

    Raises
    ------
    TaskError
        If two classes have the same caption.
    """
    if captions == "none":
        return torch.zeros(len(task.class_names), 0, device=backbone.device)
    model = PromptedCLIP(backbone, {})
    text = class_captions(backbone, task.class_names, task.template, (), "task")
    check_different(backbone, task, text)
    if captions == "ensemble":
        return ensemble_features(model, task.templates or (task.template,), task.class_names)
    return functional.normalize(model.encode_text(text).float(), dim=-1)


class Views:
    """Augmented views of images of a task's pool, decoded once.

    The augmentation is that of the recipe.
    """

    def __init__(self, problem: Problem, rows: Sequence[int]) -> None:
        backbone, task = problem.backbone, problem.task
        self._augmentation = chosen_augmentation(task, problem.recipe.augmentation)
        self._pictures = FewShotImages(task.pool, rows, backbone, self._augmentation)
        self._model = PromptedCLIP(backbone, {})
        self._same: Tensor | None = None

    def features(self, seed: int) -> Tensor:
        """Return image features (images, embed) of length 1 of the view that a seed decides."""
        if self._augmentation != "none":
            return self._unit(seed)
        if self._same is None:
            self._same = self._unit(0)
        return self._same

    def _unit(self, seed: int) -> Tensor:
        features = image_features(self._model, self._pictures, seed)
        return functional.normalize(features.float(), dim=-1)
