"""Several prompted CLIPs of one backbone, run in one batch.

In a small model an operation costs more than its arithmetic, and a step of many models in turn has
many times the operations of one step of all. So the models of a stack share every operation. Each
is computed from its first layer with contexts on; what comes before is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpl_nas.backbone.text import TextInputs
from dpl_nas.io.reprs import short_repr
from dpl_nas.prompted import image_tower
from dpl_nas.prompted.adapted import Outputs, precision_of, similarities
from dpl_nas.prompted.clip import PromptedCLIP
from dpl_nas.prompted.contexts import Context
from dpl_nas.prompted.stacked_contexts import TowerStack, given
from dpl_nas.prompted.stacked_text import StackedText, prepare_text, run_text
from dpl_nas.space import TOWERS, Tower

__all__ = ["StackedCLIP", "StackedStates"]


@dataclass(frozen=True)
class StackedStates:
    """Hidden tokens (batch, tokens, width) of images, before each layer at which models join."""

    hidden: dict[int, Tensor]

    __repr__ = short_repr

    def __getitem__(self, rows: slice | Tensor) -> StackedStates:
        """Return the states of some of the images."""
        return StackedStates({layer: each[rows] for layer, each in self.hidden.items()})

    @property
    def nbytes(self) -> int:
        """Bytes of all states."""
        return sum(each.nbytes for each in self.hidden.values())

    @classmethod
    def join(cls, parts: Sequence[StackedStates]) -> StackedStates:
        """Return the states of the images of all parts."""
        layers = parts[0].hidden
        return cls({layer: torch.cat([part.hidden[layer] for part in parts]) for layer in layers})


class StackedCLIP(nn.Module):
    """Models with one length a layer, as one model with a parameter for each tower.

    A model's outputs and gradients are those that it has alone, but for rounding.

    Parameters
    ----------
    models
        Models of one backbone with a :class:`~dpl_nas.prompted.contexts.Context` at layers, all
        with offsets of class features or none. What they learn is copied; :meth:`unstack` copies it
        back.
    """

    def __init__(self, models: Sequence[PromptedCLIP]) -> None:
        super().__init__()
        self.backbone = models[0].backbone
        if any(model.backbone is not self.backbone for model in models):
            raise ValueError("expected models of one backbone, found several")
        self._models = tuple(models)
        self.image, self.text = (
            TowerStack([_contexts(model, tower) for model in models], self.backbone.layers[tower])
            for tower in TOWERS
        )
        learned: list[Tensor] = [model.offsets for model in models if model.offsets is not None]
        self.offsets = nn.Parameter(torch.stack(learned).detach()) if learned else None
        self._text: tuple[TextInputs, StackedText] | None = None

    @property
    def draws(self) -> bool:
        """Whether a step of training draws at random: it never does."""
        return False

    def __repr__(self) -> str:
        return f"StackedCLIP({len(self._models)} models of {self.backbone.name})"

    def unstack(self) -> tuple[PromptedCLIP, ...]:
        """Copy what was learned back into the models; return these."""
        self.image.write_back()
        self.text.write_back()
        if self.offsets is not None:
            with torch.no_grad():
                for model, offsets in zip(self._models, self.offsets, strict=True):
                    if model.offsets is not None:
                        model.offsets.copy_(offsets)
        return self._models

    @torch.no_grad()
    def image_states(self, images: Tensor) -> StackedStates:
        """Return hidden tokens of images (batch, 3, size, size) before the layers of joining."""
        tower, hidden = self.backbone.image, {}
        with precision_of(self.backbone):
            x, start = tower.embed(images), 0
            for layer in self.image.joins:
                x = image_tower.run_layers(tower, x, {}, range(start, layer), "fast")
                hidden[layer], start = x, layer
        return StackedStates(hidden)

    def encode_image(self, states: StackedStates) -> Tensor:
        """Return image features ``(models, batch, embed)`` before normalisation."""
        tower, stack = self.backbone.image, self.image
        hidden = next(iter(states.hidden.values()))
        if self.backbone.classes_by == "words":
            return self._text_features(self.backbone.text.embed([hidden]))
        batch = len(hidden)
        last = len(tower.blocks) - 1
        with precision_of(self.backbone):
            x: Tensor | None = None
            for layer, block in enumerate(tower.blocks):
                x = stack.join(layer, x, states.hidden.get(layer))
                if x is not None:
                    only_first = tower.pools_first and layer == last
                    x = stack.run(block, layer, x, only_first=only_first)
            x = stack.join(last + 1, x, states.hidden.get(last + 1))
            features = tower.pool(given(x))
        return features.view(len(self._models), batch, -1)[stack.places]

    def encode_text(self, text: TextInputs) -> Tensor:
        """Return text features ``(models, classes, embed)`` before normalisation."""
        if self.backbone.classes_by == "words":
            features = text.embeddings[:, 0].expand(len(self._models), -1, -1)
        else:
            features = self._text_features(text)
        return features if self.offsets is None else features + self.offsets

    def _text_features(self, text: TextInputs) -> Tensor:
        tower, stack = self.backbone.text, self.text
        with precision_of(self.backbone):
            if self._text is None or self._text[0] is not text:
                self._text = text, prepare_text(tower, stack, text)
            pooled = run_text(tower, stack, self._text[1])
            return tower.project(pooled)[stack.places]

    def each_outputs(self, images: Tensor | StackedStates, text: TextInputs) -> list[Outputs]:
        """Return the outputs of each model for the same images."""
        states = images if isinstance(images, StackedStates) else self.image_states(images)
        image, words = self.encode_image(states), self.encode_text(text)
        logits = similarities(self.backbone, image, words)
        return [Outputs(*each) for each in zip(image, words, logits, strict=True)]


def _contexts(model: PromptedCLIP, tower: Tower) -> dict[int, Context]:
    if tower not in model.contexts:
        return {}
    found = {}
    for layer, context in model.contexts[tower].named_children():
        if not isinstance(context, Context):
            raise TypeError(f"expected one length a layer, found {type(context).__name__}")
        if context.length:
            found[int(layer)] = context
    return found
