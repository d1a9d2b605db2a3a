"""A prompted CLIP with one length a layer, and the captions that stand for its classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs, check_layers
from dpl_nas.config import PromptInit, TextTemplate
from dpl_nas.prompted import Context, PromptedCLIP, initialise
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Tower

__all__ = [
    "class_captions",
    "context_vectors",
    "fixed_model",
    "initialise_contexts",
    "load_context_vectors",
]


def fixed_model(backbone: Backbone, architecture: Architecture) -> PromptedCLIP:
    """``backbone`` with the context lengths of ``architecture``; the vectors are zeros.

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
    return PromptedCLIP(backbone, contexts).to(backbone.device)


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


def class_captions(
    backbone: Backbone,
    class_names: tuple[str, ...],
    template: str,
    templates: tuple[str, ...],
    kind: TextTemplate,
) -> TextInputs:
    """The text tower's input for every class, on the backbone's device."""
    if kind == "mean_embedding":
        inputs = backbone.mean_text_inputs(templates or (template,), class_names)
    else:
        inputs = backbone.text_inputs([template.replace("{}", name) for name in class_names])
    return inputs.to(backbone.device)
