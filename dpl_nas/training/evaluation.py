"""Accuracy and macro-F1 on a full test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.errors import CheckpointError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.observer import Observer, Stage
from dpl_nas.prompted import ImageStates, PromptedCLIP
from dpl_nas.tasks import ImageSet, Task, load_task
from dpl_nas.tasks.class_folders import tell_names
from dpl_nas.training.model import class_captions, fixed_model, load_context_vectors
from dpl_nas.training.prefetch import decode_ahead
from dpl_nas.training.prompts import PromptsMetadata, TrainedPrompts, load_prompts

__all__ = ["Classifier", "Metrics", "build_classifier", "evaluate", "score", "zero_shot"]


@dataclass(frozen=True)
class Metrics:
    """Shares in 0..1, over ``images`` test images."""

    accuracy: float
    macro_f1: float
    images: int

    def as_dict(self) -> dict[str, float | int]:
        """Return the metrics as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Classifier:
    """A prompted CLIP and its class text features (classes, embed), computed once."""

    model: PromptedCLIP
    text_features: Tensor

    @torch.no_grad()
    def predict(self, images: Tensor | ImageStates) -> Tensor:
        """Class index (batch,) of preprocessed images (batch, 3, S, S), or of their states."""
        return self.logits(images).argmax(dim=-1)

    @torch.no_grad()
    def logits(self, images: Tensor | ImageStates) -> Tensor:
        """Return logits (batch, classes) of the same inputs."""
        return self.model.logits(self.model.encode_image(images), self.text_features)


def build_classifier(prompts: TrainedPrompts, backbone: Backbone) -> Classifier:
    """The classifier that ``prompts`` make of ``backbone``.

    Raises
    ------
    CheckpointError
        If the prompts were trained on other weights, or do not fit the backbone.
    """
    prompts.check(backbone)
    meta = prompts.metadata
    model = fixed_model(backbone, prompts.architecture)
    load_context_vectors(model, prompts.vectors)
    text = class_captions(
        backbone, meta.class_names, meta.template, meta.templates, meta.text_template
    )
    with torch.no_grad():
        return Classifier(model.fold(), model.encode_text(text))


def zero_shot(task: Task, backbone: Backbone) -> Classifier:
    """The plain backbone with the task's own template."""
    model = PromptedCLIP(backbone, {})
    text = class_captions(backbone, task.class_names, task.template, (), "task")
    with torch.no_grad():
        return Classifier(model, model.encode_text(text))


def score(
    classifiers: Mapping[str, Classifier],
    images: ImageSet,
    classes: int,
    *,
    batch_size: int = 100,
    observer: Observer | None = None,
) -> dict[str, Metrics]:
    """Return the metrics of several classifiers of one backbone.

    Every image is decoded once, and runs once through the layers before the first context.
    """
    observer = observer or Observer()
    labels = list(images.labels)
    predictions: dict[str, list[int]] = {name: [] for name in classifiers}
    models = [classifier.model for classifier in classifiers.values()]
    first = min(model.first_layer("image") for model in models)
    backbone = models[0].backbone
    every = range(len(labels))
    batches = [every[start : start + batch_size] for start in range(0, len(labels), batch_size)]

    def decoded(rows: range) -> Tensor:
        return torch.stack([backbone.preprocess(images.image(row)) for row in rows])

    jobs = (partial(decoded, rows) for rows in batches)
    observer.begin(Stage.EVALUATE, len(batches))
    with closing(decode_ahead(jobs)) as pixels:
        for done, batch in enumerate(pixels, start=1):
            states = models[0].image_states(batch.to(backbone.device), first)
            for name, classifier in classifiers.items():
                predictions[name] += classifier.predict(states).tolist()
            observer.advance(Stage.EVALUATE, done, {"images": batches[done - 1].stop})
    observer.end(Stage.EVALUATE)
    return {name: _metrics(labels, found, classes) for name, found in predictions.items()}


def _metrics(labels: Sequence[int], predictions: Sequence[int], classes: int) -> Metrics:
    from sklearn.metrics import accuracy_score, f1_score

    return Metrics(
        accuracy=float(accuracy_score(labels, predictions)),
        macro_f1=float(
            f1_score(labels, predictions, average="macro", labels=range(classes), zero_division=0.0)
        ),
        images=len(labels),
    )


def _check_classes(trained: PromptsMetadata, task: Task) -> None:
    """Raise an error unless a task has the classes that prompts were trained for."""
    names, found = trained.class_names, task.class_names
    if names == found:
        return
    lacks, has = (
        [each for each in a if each not in b] for a, b in ((names, found), (found, names))
    )
    if lacks or has:
        reason = " and ".join(
            f"{what} {tell_names(each)}" for what, each in (("lacks", lacks), ("adds", has)) if each
        )
    else:
        reason = "has them in another order"
    raise CheckpointError(
        f"the prompts were trained for the {len(names)} classes of {trained.task}, and the task "
        f"{task.name} {reason}: name its classes alike, such as with class_names in task.yml"
    )


@checked()
def evaluate(
    prompts: TrainedPrompts | str | Path,
    task: Task | str | Path,
    *,
    backbone: Backbone | None = None,
    batch_size: int = 100,
    device: str = "cpu",
    observer: Observer | None = None,
) -> Metrics:
    """Accuracy and macro-F1 of ``prompts`` on all test images of ``task``.

    Parameters
    ----------
    prompts, task
        Objects; or a file or run folder for prompts, and a name or folder for the task.

    Raises
    ------
    CheckpointError
        If the prompts were trained on other weights or for other classes.
    """
    check_whole("batch_size", batch_size, 1)
    prompts = prompts if isinstance(prompts, TrainedPrompts) else load_prompts(prompts)
    task = load_task(task)
    _check_classes(prompts.metadata, task)
    backbone = backbone or load_backbone(prompts.metadata.space.backbone, device)
    found = score(
        {"prompts": build_classifier(prompts, backbone)},
        task.test,
        len(task.class_names),
        batch_size=batch_size,
        observer=observer,
    )
    return found["prompts"]
