"""Learned tokens of the text tower, and linear maps of them in the image tower."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.methods.depths import LayerLengths
from dpl_nas.methods.token_method import TokenMethod
from dpl_nas.methods.tokens import CoupledTokenCLIP
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.space import Tower

__all__ = ["Maple", "coupled_lengths"]


class Maple(TokenMethod):
    """Multi-modal prompt learning: 2 tokens at the first 9 layers, coupled."""

    title: ClassVar[str] = "MaPLe"
    paper: ClassVar[str] = "Khattak et al. 2023 (arXiv 2210.03117)"
    towers: ClassVar[tuple[Tower, ...]] = ("text",)

    length: int = Field(default=2, ge=1)
    words: str = "a photo of a"

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 5 epochs of batches of 4."""
        del shots, images
        return coop_recipe(lr=3.5e-3, epochs=5, batch_size=4)

    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return the number of tokens by layer, under the text tower."""
        return {"text": coupled_lengths(backbone, super().lengths_in(backbone))}

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, with maps that are drawn and tokens that start as words."""
        return CoupledTokenCLIP(backbone, self.lengths_in(backbone)["text"], seed, self.words)


def coupled_lengths(backbone: Backbone, lengths: LayerLengths) -> dict[int, int]:
    """Return the lengths of the text tower, which the image tower shares.

    Raises
    ------
    ConfigError
        If the image tower is given others, or lacks a layer.
    """
    text = lengths.get("text", {})
    image = lengths.get("image", text)
    if image != text:
        raise ConfigError(
            "coupled towers have the same lengths, found others for image and text: give those "
            "of text alone"
        )
    if text and max(text) >= backbone.layers["image"]:
        raise ConfigError(
            f"coupled towers have the same layers, found text/{max(text)}, and the image tower of "
            f"{backbone.name} has {backbone.layers['image']}: use fewer"
        )
    return dict(text)
