"""A frozen CLIP whose layers are given something learned; what it is, subclasses say."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone.frozen import Backbone
from dpl_nas.backbone.text import TextInputs
from dpl_nas.backbone.towers import TowerBlocks
from dpl_nas.io.reprs import in_a_line, short_repr
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import image_tower, text_tower
from dpl_nas.prompted.block import ReadyEntries, layer_context
from dpl_nas.prompted.contexts import ContextMixture
from dpl_nas.prompted.entries import Entry, LayerTokens
from dpl_nas.prompted.plain import run_blocks
from dpl_nas.prompted.text_tower import TextStates
from dpl_nas.space import Tower

__all__ = ["AdaptedCLIP", "ImageStates", "Outputs", "precision_of", "similarities"]


@dataclass(frozen=True)
class ImageStates:
    """Hidden tokens ``hidden`` (batch, tokens, width) of images, before layer ``layer``."""

    layer: int
    hidden: Tensor

    __repr__ = short_repr

    def __getitem__(self, rows: slice | Tensor) -> ImageStates:
        """Return the states of some of the images."""
        return ImageStates(self.layer, self.hidden[rows])

    @property
    def nbytes(self) -> int:
        """Bytes of all states."""
        return self.hidden.nbytes

    @classmethod
    def join(cls, parts: Sequence[ImageStates]) -> ImageStates:
        """Return the states of the images of all parts."""
        return cls(parts[0].layer, torch.cat([part.hidden for part in parts]))


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model for a batch of images.

    Attributes
    ----------
    image_features, text_features
        ``(batch, embed)`` and ``(classes, embed)``, before normalisation.
    logits
        ``(batch, classes)``.
    """

    image_features: Tensor
    text_features: Tensor
    logits: Tensor

    __repr__ = short_repr


class AdaptedCLIP(nn.Module, ABC):
    """A frozen CLIP whose layers are given contexts, learned tokens or low-rank updates.

    The parameters and the state dict are those of what is learned. The backbone stays outside the
    module tree, is shared by all models that are built on it (also by deep copies), and follows
    any of them to its device. The ``repr`` is a line.

    Parameters
    ----------
    backbone
        The frozen CLIP.
    path
        Implementation of attention. ``reference`` also runs both towers as published: all tokens
        of every class and image, through every layer.
    """

    def __init__(self, backbone: Backbone, path: KernelPath = "fast") -> None:
        super().__init__()
        self.backbone = backbone
        self.path: KernelPath = path
        self._prepared: tuple[TextInputs, TextStates] | None = None
        self._constant: tuple[TextInputs, Tensor] | None = None
        self._folded: dict[Tower, ReadyEntries] | None = None

    def __repr__(self) -> str:
        learned = sum(each.numel() for each in self.parameters())
        return in_a_line(f"{type(self).__name__}({self.backbone.name}, {learned} learned numbers)")

    @abstractmethod
    def entries(self, tower: Tower) -> Mapping[int, Entry]:
        """Return what enters the layers of a tower; others are plain."""

    @abstractmethod
    def first_layer(self, tower: Tower) -> int:
        """Return the first layer that something may enter, or the number of layers if none.

        Hidden states before it are constants of the backbone.
        """

    def with_path(self, path: KernelPath) -> Self:
        """Return a model of the same parameters and backbone with another path; none is folded."""
        other = copy.copy(self)
        other.path = path
        other._prepared = other._constant = other._folded = None  # noqa: SLF001 - of this class
        return other

    @property
    def draws(self) -> bool:
        """Whether a step of training draws at random, as dropout does."""
        return False

    def fold(self) -> Self:
        """Compute what enters the layers now, once; return the model.

        This is for models that are no longer trained: later changes of parameters have no effect.
        """
        with torch.no_grad(), precision_of(self.backbone):
            towers: dict[Tower, TowerBlocks] = {
                "image": self.backbone.image,
                "text": self.backbone.text,
            }
            self._folded = {
                name: _ready(tower, self.entries(name)) for name, tower in towers.items()
            }
        return self

    @torch.no_grad()
    def image_states(self, images: Tensor, layer: int | None = None) -> ImageStates:
        """Return hidden tokens of images (batch, 3, size, size) before ``layer``.

        The default is the first layer that something enters, so that they are computed once for
        repeated images. Models of one backbone can share them up to the smallest of their
        first layers.

        Raises
        ------
        ValueError
            If ``layer`` is after the first layer that something enters.
        """
        first = self.first_layer("image")
        layer = first if layer is None else layer
        if layer > first:
            raise ValueError(f"expected a layer up to {first}, found {layer}")
        tower = self.backbone.image
        with precision_of(self.backbone):
            x = image_tower.run_layers(tower, tower.embed(images), {}, range(layer), self.path)
        return ImageStates(layer, x)

    def encode_image(self, images: Tensor | ImageStates) -> Tensor:
        """Return image features before normalisation.

        Parameters
        ----------
        images
            ``(batch, 3, size, size)``, preprocessed, or their hidden tokens; of a language model,
            the tokens of texts (batch, length).

        Returns
        -------
        Tensor
            ``(batch, embed)``.
        """
        with precision_of(self.backbone):
            return self._encode_image(images)

    def _encode_image(self, images: Tensor | ImageStates) -> Tensor:
        tower = self.backbone.image
        if isinstance(images, ImageStates):
            start, x = images.layer, images.hidden
        else:
            start, x = 0, tower.embed(images)
        if self.backbone.classes_by == "words":
            return self._text_features(self.backbone.text.embed([x]))
        if self.path == "reference" and start == 0:
            x = run_blocks(tower.blocks, x, self.entries("image"), None, place=x.shape[1])
        else:
            layers = range(start, self.backbone.layers["image"])
            folded = self._folded
            entries = folded["image"] if folded else _ready(tower, self.entries("image"))
            x = image_tower.run_layers(tower, x, entries, layers, self.path)
        return tower.pool(x)

    def encode_text(self, text: TextInputs) -> Tensor:
        """Return text features before normalisation.

        Parameters
        ----------
        text
            Inputs of ``classes`` captions, from :meth:`Backbone.text_inputs` or
            :meth:`Backbone.mean_text_inputs`. What does not depend on what is learned is kept
            for the next call with the same object. If tokens enter the first layer, the captions
            have as many placeholders after their first token.

        Returns
        -------
        Tensor
            ``(classes, embed)``.
        """
        with precision_of(self.backbone):
            return self._encode_text(text)

    def _encode_text(self, text: TextInputs) -> Tensor:
        if self.backbone.classes_by == "words":
            return text.embeddings[:, 0]
        return self._text_features(text)

    def _text_features(self, text: TextInputs) -> Tensor:
        folded = None if self._folded is None else self._folded["text"]
        if self.path == "reference" or folded is None or _by_definition(text, folded):
            return self.encode_text_with(text, self.entries("text"))
        return self._text_of(text, folded)

    def encode_text_with(self, text: TextInputs, entries: Mapping[int, Entry]) -> Tensor:
        """Return :meth:`encode_text` with other entries, at the layers of the model's own."""
        with precision_of(self.backbone):
            if self.path == "reference" or _by_definition(text, entries):
                return self.backbone.text.project(self._plain_text(text, entries))
            return self._text_of(text, _ready(self.backbone.text, entries))

    def encode_text_of_each(self, text: TextInputs, tokens: Mapping[int, LayerTokens]) -> Tensor:
        """Return text features ``(variants, classes, embed)`` of several tokens for each layer.

        Parameters
        ----------
        tokens
            Vectors ``(variants, length, width)`` of the layers that have learned tokens, the
            model's own; all variants are computed together.
        """
        count = next(iter(tokens.values())).vectors.shape[0]
        if self.path == "reference" or _by_definition(text, tokens):
            each = [
                {layer: LayerTokens(own.vectors[variant]) for layer, own in tokens.items()}
                for variant in range(count)
            ]
            return torch.stack([self.encode_text_with(text, own) for own in each])
        with precision_of(self.backbone):
            states = self._text_states(text, learned_tokens=True).repeated(count)
            pooled = text_tower.class_features(
                self.backbone.text, states, tokens, self.path, _placeholders(tokens)
            )
            features = self.backbone.text.project(pooled)
        return features.view(count, -1, features.shape[-1])

    def _text_of(self, text: TextInputs, entries: ReadyEntries) -> Tensor:
        tower = self.backbone.text
        if self.first_layer("text") == self.backbone.layers["text"]:
            return tower.project(self._constant_text(text))
        tokens = any(isinstance(each, LayerTokens) for each in entries.values())
        states = self._text_states(text, learned_tokens=tokens)
        pooled = text_tower.class_features(
            tower, states, entries, self.path, _placeholders(entries)
        )
        return tower.project(pooled)

    def logits(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Return ``exp(logit_scale) * cos``, at least in float32.

        Parameters
        ----------
        image_features, text_features
            ``(batch, embed)`` and ``(classes, embed)``, before normalisation.

        Returns
        -------
        Tensor
            ``(batch, classes)``.
        """
        return similarities(self.backbone, image_features, text_features)

    def outputs(self, images: Tensor | ImageStates, text: TextInputs) -> Outputs:
        """Return logits of ``images`` for the captions of ``text``, and their features."""
        image_features, text_features = self.encode_image(images), self.encode_text(text)
        logits = self.logits(image_features, text_features)
        return Outputs(image_features, text_features, logits)

    def each_outputs(self, images: Tensor | ImageStates, text: TextInputs) -> list[Outputs]:
        """Return the outputs as a list, as a stack of models does."""
        return [self.outputs(images, text)]

    def forward(self, images: Tensor | ImageStates, text: TextInputs) -> Tensor:
        """Return logits ``(batch, classes)`` of ``images`` for the captions of ``text``."""
        return self.outputs(images, text).logits

    def _plain_text(self, text: TextInputs, entries: Mapping[int, Entry]) -> Tensor:
        tower, x = self.backbone.text, text.embeddings
        held = _placeholders(entries)

        def mask(x: Tensor) -> Tensor | None:
            return text.mask_of(tower.mask(x.shape[1], x), x)

        hidden = tower.norm(run_blocks(tower.blocks, x, entries, mask, place=1, held=held))
        pooling = torch.cat([text.pooling[:, :1], text.pooling[:, 1 + held :]], dim=1)
        pooled = torch.einsum("nt,ntw->nw", pooling, hidden.to(pooling.dtype))
        return pooled.to(hidden.dtype)

    def _text_states(self, text: TextInputs, *, learned_tokens: bool = False) -> TextStates:
        if self._prepared is None or self._prepared[0] is not text:
            # The last layer leaves out tokens that are not read.
            last = self.backbone.layers["text"] - 1
            plan = text.plan(self.backbone.layers["text"], share=learned_tokens)
            states = text_tower.first_states(plan)
            first = max(0, min(self.first_layer("text"), last))
            self._prepared = (text, text_tower.run_to(self.backbone.text, states, first, self.path))
        return self._prepared[1]

    @torch.no_grad()
    def _constant_text(self, text: TextInputs) -> Tensor:
        """Return pooled hidden tokens of a tower without contexts, computed once."""
        if self._constant is None or self._constant[0] is not text:
            states = self._text_states(text)
            features = text_tower.class_features(self.backbone.text, states, {}, self.path)
            self._constant = (text, features)
        return self._constant[1]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The hook under .to(), .cuda() and the like, also when a parent module is moved. Only
        # the device is followed: the backbone has its own precision.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._prepared = self._constant = self._folded = None
        self.backbone.to(fn(torch.empty(0, device=self.backbone.device)).device)
        return self


def precision_of(backbone: Backbone) -> AbstractContextManager[object]:
    """Return the context in which a backbone's operations run."""
    if backbone.precision == "fp32":
        return nullcontext()
    # Nothing to cache: the weights are in bfloat16 already.
    return torch.autocast(backbone.device.type, torch.bfloat16, cache_enabled=False)


def similarities(backbone: Backbone, image_features: Tensor, text_features: Tensor) -> Tensor:
    """Return ``exp(logit_scale) * cos + bias``, ``(..., batch, classes)``, at least in float32.

    Of a language model, the products are plain, as those of its output layer.

    Parameters
    ----------
    image_features, text_features
        ``(..., batch, embed)`` and ``(..., classes, embed)``, before normalisation.
    """
    wide = torch.promote_types(image_features.dtype, torch.float32)
    if backbone.classes_by == "words":
        return image_features.to(wide) @ text_features.to(wide).transpose(-2, -1)
    image = functional.normalize(image_features.to(wide), dim=-1)
    text = functional.normalize(text_features.to(wide), dim=-1)
    scaled = backbone.logit_scale.exp() * image @ text.transpose(-2, -1)
    return scaled if backbone.logit_bias is None else scaled + backbone.logit_bias


def _ready(tower: TowerBlocks, entries: Mapping[int, Entry]) -> ReadyEntries:
    return {
        layer: layer_context(tower.blocks[layer], entry)
        if isinstance(entry, ContextMixture)
        else entry
        for layer, entry in entries.items()
    }


def _by_definition(text: TextInputs, entries: Mapping[int, Entry] | ReadyEntries) -> bool:
    """Whether learned tokens are among captions whose prefix cannot be computed on its own."""
    return not text.packs and any(isinstance(each, LayerTokens) for each in entries.values())


def _placeholders(entries: Mapping[int, Entry] | ReadyEntries) -> int:
    """Return how many tokens of the captions those of the first layer take the place of."""
    first = entries.get(0)
    return first.vectors.shape[-2] if isinstance(first, LayerTokens) else 0
