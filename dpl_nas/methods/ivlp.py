"""Learned tokens in both towers, independent of each other."""

from __future__ import annotations

from typing import ClassVar

from dpl_nas.config import TrainSettings
from dpl_nas.methods.token_method import TokenMethod
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.space import Tower

__all__ = ["Ivlp"]


class Ivlp(TokenMethod):
    """Independent vision-language prompting: 4 tokens at the first 9 layers of both towers."""

    title: ClassVar[str] = "IVLP"
    paper: ClassVar[str] = (
        "Rasheed et al. 2023 (arXiv 2212.03640); settings of PromptSRC's released code"
    )
    towers: ClassVar[tuple[Tower, ...]] = ("image", "text")

    words: str = "a photo of a"

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 20 epochs of batches of 4."""
        del shots, images
        return coop_recipe(lr=2.5e-3, epochs=20, batch_size=4)
