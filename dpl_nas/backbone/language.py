"""Language models, which read texts in the place of images and go on with a class's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from dpl_nas.backbone.decoders import Decoder, objection_to_decoder
from dpl_nas.backbone.one_tower import OneTower
from dpl_nas.backbone.towers import Block, ClassesBy, ImageTower, TextTower
from dpl_nas.errors import BackboneError
from dpl_nas.space import Tower

__all__ = ["NO_IMAGES", "LanguageModel", "is_language_model"]

#: Why the image tower has no layers.
NO_IMAGES = "it is a language model"


class LanguageModel(OneTower):
    """A decoder of transformers, whose logits of some words are those of the classes.

    Parameters
    ----------
    model
        The model, with its output layer.
    name
        Name of the model, for messages.

    Raises
    ------
    BackboneError
        If it cannot carry context vectors.
    """

    def __init__(self, model: nn.Module, name: str) -> None:
        # Logits are the model's own.
        super().__init__(model, name, objection_to_decoder(model), scale=1.0)
        decoder = Decoder(model)
        self.classes_by: ClassesBy = "words"
        self.plain: Mapping[Tower, str] = {"image": NO_IMAGES}
        self.image: ImageTower = _Tokens(decoder.width)
        self.text: TextTower = decoder


def is_language_model(model: nn.Module) -> bool:
    """Whether a model is one of transformers with an output layer of tokens."""
    ask: Any = getattr(model, "get_output_embeddings", None)
    return ask is not None


class _Tokens:
    """The place of an image tower: tokens (batch, length) pass through it."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.image_size = (1, 1)
        self.blocks: Sequence[Block] = ()

    @property
    def pools_first(self) -> bool:
        """Nothing is pooled."""
        return False

    def embed(self, images: Tensor) -> Tensor:
        """Return the tokens."""
        return images

    def enter(self, tokens: Tensor) -> Tensor:
        """No token enters."""
        del tokens
        raise BackboneError(f"no tokens can enter the image tower, since {NO_IMAGES}")

    def pool(self, x: Tensor) -> Tensor:
        """Return the tokens."""
        return x
