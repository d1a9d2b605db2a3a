"""Accuracy and macro-F1 on a full test set."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer, Stage
from dpl_nas.prompted import AdaptedCLIP, ImageStates, PromptedCLIP
from dpl_nas.tasks import ImageSet, Task, check_images, load_task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.captions import check_different
from dpl_nas.training.model import class_captions, fixed_model, load_context_vectors
from dpl_nas.training.origin import check_classes
from dpl_nas.training.prefetch import decode_ahead
from dpl_nas.training.prompts import TrainedPrompts, load_prompts

__all__ = [
    "Classifier",
    "Metrics",
    "Scorer",
    "build_classifier",
    "decoded_batches",
    "evaluate",
    "metrics_of",
    "score",
    "zero_shot",
]


@dataclass(frozen=True)
class Metrics:
    """Shares in 0..1, over ``images`` test images; macro-F1 is the mean over their classes."""

    accuracy: float
    macro_f1: float
    images: int

    def as_dict(self) -> dict[str, float | int]:
        """Return the metrics as plain values for JSON."""
        return asdict(self)


class Scorer(Protocol):
    """A method in use: it answers for images."""

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of preprocessed images (batch, 3, S, S)."""

    def predict(self, images: Tensor) -> Tensor:
        """Return the class index (batch,) of the same."""


@dataclass(frozen=True)
class Classifier:
    """An adapted CLIP and its class text features (classes, embed), computed once."""

    model: AdaptedCLIP
    text_features: Tensor

    __repr__ = short_repr

    @torch.no_grad()
    def predict(self, images: Tensor | ImageStates) -> Tensor:
        """Class index (batch,) of preprocessed images (batch, 3, S, S), or of their states."""
        return self.logits(images).argmax(dim=-1)

    @torch.no_grad()
    def logits(self, images: Tensor | ImageStates) -> Tensor:
        """Return logits (batch, classes) of the same inputs."""
        return self.model.logits(self.model.encode_image(images), self.text_features)


def build_classifier(
    prompts: TrainedPrompts, backbone: Backbone, task: Task | None = None
) -> Classifier:
    """The classifier that ``prompts`` make of ``backbone``.

    Parameters
    ----------
    task
        Task with the classes to tell apart, if they are not those of the training. Their captions
        have the template of the training all the same.

    Raises
    ------
    CheckpointError
        If the prompts were trained on other weights, do not fit the backbone, or have learned the
        features of their own classes.
    TaskError
        If two classes of ``task`` have the same caption.
    """
    prompts.check(backbone)
    meta = prompts.metadata
    model = fixed_model(backbone, prompts.architecture)
    load_context_vectors(model, prompts.vectors)
    if prompts.class_features is not None:
        if task is not None:
            raise CheckpointError(
                f"the prompts learned features of {tell_names(meta.class_names)}, and {task.name} "
                f"has {tell_names(task.class_names)}: train again"
            )
        return Classifier(model.fold(), prompts.class_features.to(backbone.device))
    names = meta.class_names if task is None else task.class_names
    text = class_captions(backbone, names, meta.template, meta.templates, meta.text_template)
    if task is not None:
        check_different(backbone, replace(task, template=meta.template), text)
    with torch.no_grad():
        return Classifier(model.fold(), model.encode_text(text))


def zero_shot(task: Task, backbone: Backbone) -> Classifier:
    """The plain backbone with the task's own template."""
    model = PromptedCLIP(backbone, {})
    text = class_captions(backbone, task.class_names, task.template, (), "task")
    with torch.no_grad():
        return Classifier(model, model.encode_text(text))


def score(
    scorers: Mapping[str, Scorer],
    images: ImageSet,
    backbone: Backbone,
    *,
    batch_size: int = 100,
    observer: Observer | None = None,
) -> dict[str, Metrics]:
    """Return the metrics of several scorers of one backbone.

    Every image is decoded once. For all classifiers together, it runs once through the layers
    before the first that is adapted.
    """
    observer = observer or Observer()
    labels = list(images.labels)
    predictions: dict[str, list[int]] = {name: [] for name in scorers}
    models = [each.model for each in scorers.values() if isinstance(each, Classifier)]
    first = min((model.first_layer("image") for model in models), default=0)
    observer.begin(Stage.EVALUATE, math.ceil(len(labels) / batch_size))
    seen = 0
    with closing(decoded_batches(images, backbone, batch_size)) as batches:
        for done, pixels in enumerate(batches, start=1):
            states = models[0].image_states(pixels, first) if models else None
            for name, scorer in scorers.items():
                if isinstance(scorer, Classifier) and states is not None:
                    predictions[name] += scorer.predict(states).tolist()
                else:
                    predictions[name] += scorer.predict(pixels).tolist()
            seen += len(pixels)
            observer.advance(Stage.EVALUATE, done, {"images": seen})
    observer.end(Stage.EVALUATE)
    return {name: metrics_of(labels, found) for name, found in predictions.items()}


def decoded_batches(
    images: ImageSet, backbone: Backbone, batch_size: int = 100
) -> Generator[Tensor, None, None]:
    """Yield all images in their order, preprocessed, (batch, 3, S, S) on the backbone's device.

    Threads decode ahead. Close it, or use it up, to end them.
    """
    every = range(len(images.labels))

    def decoded(rows: range) -> Tensor:
        return torch.stack([backbone.preprocess(images.image(row)) for row in rows])

    jobs = (
        partial(decoded, every[start : start + batch_size])
        for start in range(0, len(every), batch_size)
    )
    with closing(decode_ahead(jobs)) as batches:
        for pixels in batches:
            yield pixels.to(backbone.device)


def metrics_of(labels: Sequence[int], predictions: Sequence[int]) -> Metrics:
    """Return the metrics of class indices (images,) that were predicted."""
    from sklearn.metrics import accuracy_score, f1_score

    return Metrics(
        accuracy=float(accuracy_score(labels, predictions)),
        # A class without test images has no F1.
        macro_f1=float(
            f1_score(
                labels, predictions, average="macro", labels=sorted({*labels}), zero_division=0.0
            )
        ),
        images=len(labels),
    )


@checked()
def evaluate(
    prompts: TrainedPrompts | AnyPath,
    task: Task | AnyPath,
    *,
    backbone: Backbone | None = None,
    other_classes: bool = False,
    batch_size: int = 100,
    device: str = "cpu",
    observer: Observer | None = None,
    quiet: bool = False,
) -> Metrics:
    """Accuracy and macro-F1 of ``prompts`` on all test images of ``task``.

    Parameters
    ----------
    prompts, task
        Objects; or a file or run folder for prompts, and a name or folder for the task.
    other_classes
        Whether the task may have other classes than those that the prompts were trained for.
    observer, quiet
        Who is told of the progress instead of the terminal or notebook; whether nobody is.

    Raises
    ------
    CheckpointError
        If the prompts were trained on other weights or for other classes.
    TaskError
        If test images cannot be read.
    """
    check_whole("batch_size", batch_size, 1)
    prompts = prompts if isinstance(prompts, TrainedPrompts) else load_prompts(prompts)
    task = load_task(task)
    check_classes("prompts", prompts.metadata, task, other_classes=other_classes)
    other = None if prompts.metadata.class_names == task.class_names else task
    with watched(observer, quiet=quiet) as watching:
        check_images(task, observer=watching)
        backbone = backbone or load_backbone(prompts.metadata.space.backbone, device)
        found = score(
            {"prompts": build_classifier(prompts, backbone, other)},
            task.test,
            backbone,
            batch_size=batch_size,
            observer=watching,
        )
    return found["prompts"]
