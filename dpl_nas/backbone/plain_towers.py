"""Towers without layers that can be searched, and the place of one that is not there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dpl_nas.backbone.text import TextInputs
from dpl_nas.backbone.towers import Block
from dpl_nas.errors import BackboneError

__all__ = ["ClassRows", "PlainImage", "PlainText", "class_rows"]


class PlainImage:
    """An image tower as a whole, such as a ResNet: its features are its only hidden token.

    Parameters
    ----------
    visual
        From images (batch, 3, height, width) to features (batch, embed).
    width
        Size of the features.
    """

    def __init__(self, visual: nn.Module, image_size: tuple[int, int], width: int) -> None:
        self._visual = visual
        self.width = width
        self.image_size = image_size
        self.blocks: Sequence[Block] = ()

    @property
    def pools_first(self) -> bool:
        """There is but one token."""
        return False

    def embed(self, images: Tensor) -> Tensor:
        """Return features as one token (batch, 1, embed)."""
        features: Tensor = self._visual(images)
        return features[:, None]

    def enter(self, tokens: Tensor) -> Tensor:
        """No token enters."""
        del tokens
        raise BackboneError("the image tower has no layers, so no tokens can enter it")

    def pool(self, x: Tensor) -> Tensor:
        """Return the features."""
        return x[:, 0]


def class_rows(features: Tensor) -> TextInputs:
    """Return class features (classes, embed) as the inputs of a tower that passes them on."""
    ones = torch.promote_types(features.dtype, torch.float32)
    return TextInputs(
        features[:, None], torch.ones(len(features), 1, dtype=ones, device=features.device)
    )


class ClassRows:
    """The place of a text tower in a model of images alone: class features pass through it.

    Parameters
    ----------
    width
        Size of the features.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.blocks: Sequence[Block] = ()

    @property
    def token_table(self) -> Tensor:
        """It has none that is known."""
        raise BackboneError("the text tower has no layers, so no tokens can enter it")

    @property
    def positions(self) -> Tensor:
        """It has none that are known."""
        raise BackboneError("the text tower has no layers, so no tokens can enter it")

    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """It reads no captions."""
        del tokens
        raise BackboneError("the model reads no captions, since it is a model of images alone")

    def mask(self, tokens: int, like: Tensor) -> Tensor | None:
        """There is nothing to hide."""
        del tokens, like
        return None

    def norm(self, x: Tensor) -> Tensor:
        """Return the features."""
        return x

    def project(self, pooled: Tensor) -> Tensor:
        """Return the features."""
        return pooled


class PlainText(ClassRows):
    """A text tower as a whole.

    Parameters
    ----------
    text
        From tokens (classes, context_length) to features (classes, embed).
    """

    def __init__(self, text: nn.Module, width: int) -> None:
        super().__init__(width)
        self._text = text

    @torch.no_grad()
    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return the mean features over templates, as one token of each class."""
        return class_rows(torch.stack([self._text(batch) for batch in tokens]).mean(dim=0))
