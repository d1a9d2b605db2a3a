"""Learned tokens in the image tower."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dpl_nas.config import TrainSettings
from dpl_nas.methods.token_method import TokenMethod
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.space import Tower

__all__ = ["Vpt"]


class Vpt(TokenMethod):
    """Visual prompt tuning: tokens at every layer (deep), or before the first alone (shallow)."""

    title: ClassVar[str] = "VPT"
    paper: ClassVar[str] = (
        "Jia et al. 2022 (arXiv 2203.12119), with CLIP's captions as the classifier and the "
        "length, start and recipe of independent vision-language prompting"
    )
    towers: ClassVar[tuple[Tower, ...]] = ("image",)

    depth: int = Field(default=12, ge=1)

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return the recipe of independent vision-language prompting."""
        del shots, images
        return coop_recipe(lr=2.5e-3, epochs=20, batch_size=4)
