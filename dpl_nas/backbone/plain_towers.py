"""Towers in which nothing can be learned: they have no layers to search."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dpl_nas.backbone.text import TextInputs
from dpl_nas.backbone.towers import Block
from dpl_nas.errors import BackboneError

__all__ = ["PlainImage", "PlainText"]


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


class PlainText:
    """A text tower as a whole.

    Parameters
    ----------
    text
        From tokens (classes, context_length) to features (classes, embed).
    width
        Size of the features.
    """

    def __init__(self, text: nn.Module, width: int) -> None:
        self._text = text
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

    @torch.no_grad()
    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return the mean features over templates, as one token of each class."""
        features = torch.stack([self._text(batch) for batch in tokens]).mean(dim=0)
        ones = torch.promote_types(features.dtype, torch.float32)
        return TextInputs(
            features[:, None], torch.ones(len(features), 1, dtype=ones, device=features.device)
        )

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
