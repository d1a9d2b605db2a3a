"""A prompted CLIP with one length a layer, and what stands for its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone import Backbone, TextInputs, check_layers
from dpl_nas.config import PromptInit, TextTemplate, TrainSettings
from dpl_nas.prompted import AdaptedCLIP, Context, PromptedCLIP, initialise
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Tower
from dpl_nas.tasks import Task
from dpl_nas.training.batches import FewShotImages

__all__ = [
    "class_captions",
    "class_inputs",
    "class_means",
    "class_offsets",
    "context_vectors",
    "fixed_model",
    "image_features",
    "initialise_contexts",
    "load_context_vectors",
    "means_of",
]

_BATCH = 100


def fixed_model(
    backbone: Backbone, architecture: Architecture, offsets: nn.Parameter | None = None
) -> PromptedCLIP:
    """``backbone`` with the context lengths of ``architecture``; the vectors are zeros.

    Parameters
    ----------
    offsets
        Offsets of class features, if they are learned.

    Raises
    ------
    ArchitectureError
        If a layer does not exist in the backbone.
    """
    contexts: dict[Tower, dict[int, nn.Module]] = {}
    for tower, layer, length in architecture.items():
        check_layers(backbone, tower, [layer], asks="the architecture has")
        if length:
            contexts.setdefault(tower, {})[layer] = Context(length, backbone.widths[tower])
    return PromptedCLIP(backbone, contexts, offsets=offsets).to(backbone.device)


def initialise_contexts(model: PromptedCLIP, init: PromptInit, seed: int) -> None:
    """Draw all context vectors afresh, each tower with a stream of its own."""
    for tower, contexts in model.contexts.items():
        generator = torch.Generator().manual_seed(derive_seed(seed, "init", tower))
        initialise(contexts, getattr(init, tower), generator)


def context_vectors(model: PromptedCLIP) -> dict[str, Tensor]:
    """The vectors of a fixed model by ``tower/layer``, (length, width) each."""
    return {
        f"{tower}/{layer}": context.vectors.detach().cpu().clone()
        for tower, layers in model.contexts.items()
        for layer, context in _children(layers).items()
    }


def load_context_vectors(model: PromptedCLIP, vectors: Mapping[str, Tensor]) -> None:
    """Put vectors by ``tower/layer`` into a fixed model of the same architecture."""
    with torch.no_grad():
        for tower, layers in model.contexts.items():
            for layer, context in _children(layers).items():
                context.vectors.copy_(vectors[f"{tower}/{layer}"])


def _children(layers: nn.Module) -> dict[str, Context]:
    return {name: child for name, child in layers.named_children() if isinstance(child, Context)}


def class_inputs(
    backbone: Backbone, task: Task, rows: Sequence[int], kind: TextTemplate
) -> TextInputs:
    """What stands for the classes: captions or words, or else class means of ``rows``.

    Parameters
    ----------
    rows
        Indices into the task's pool.

    Raises
    ------
    TaskError
        If an image cannot be read.
    """
    if backbone.classes_by != "means":
        return class_captions(backbone, task.class_names, task.template, task.templates, kind)
    return backbone.class_inputs(class_means(backbone, task, rows))


@torch.no_grad()
def class_means(backbone: Backbone, task: Task, rows: Sequence[int]) -> Tensor:
    """Return, for each class, the mean of its images' features of length 1, of length 1 again.

    ``(classes, embed)``, of the plain image tower (Snell et al. 2017, with cosines); zeros for a
    class without images.
    """
    images = FewShotImages(task.pool, rows, backbone, "none")
    found = image_features(PromptedCLIP(backbone, {}), images).float()
    features = functional.normalize(found, dim=-1)
    return means_of(features, images.labels, len(task.class_names))


@torch.no_grad()
def image_features(model: AdaptedCLIP, images: FewShotImages, seed: int = 0) -> Tensor:
    """Return the features (images, embed) of all images; ``seed`` decides the augmentation."""
    parts = images.parts(_BATCH)
    return torch.cat([model.encode_image(images.batch(part, seed)[0]) for part in parts])


def means_of(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the mean of each class's features (images, embed), of length 1: (classes, embed)."""
    member = functional.one_hot(labels.to(features.device), classes).to(features.dtype)
    return functional.normalize(member.T @ features, dim=-1)


def class_offsets(
    backbone: Backbone, settings: TrainSettings, text: TextInputs
) -> nn.Parameter | None:
    """Return offsets of class features that are learned, zeros at first, or ``None``.

    Parameters
    ----------
    text
        What stands for the classes.
    """
    chosen = settings.class_features
    if chosen == "fixed" or (chosen is None and backbone.classes_by != "means"):
        return None
    with torch.no_grad():
        features = PromptedCLIP(backbone, {}).encode_text(text)
    return nn.Parameter(torch.zeros_like(features, dtype=torch.float32))


def class_captions(
    backbone: Backbone,
    class_names: tuple[str, ...],
    template: str,
    templates: tuple[str, ...],
    kind: TextTemplate,
) -> TextInputs:
    """What stands for every class, on the backbone's device: its caption, or its name's word."""
    if backbone.classes_by == "words":
        return backbone.class_inputs(backbone.word_features(class_names))
    if kind == "mean_embedding":
        inputs = backbone.mean_text_inputs(templates or (template,), class_names)
    else:
        inputs = backbone.text_inputs([template.replace("{}", name) for name in class_names])
    return inputs.to(backbone.device)
