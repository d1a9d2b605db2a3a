"""Learned words before the class name."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dpl_nas.config import TrainSettings
from dpl_nas.methods.token_method import TokenMethod
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.space import Tower

__all__ = ["CoOp"]

#: Epochs by shots, of CoOp's released scripts; otherwise 200.
_EPOCHS = {1: 50, 2: 100, 4: 100}


class CoOp(TokenMethod):
    """Context optimization: 16 tokens that all classes share, before the class name."""

    title: ClassVar[str] = "CoOp"
    paper: ClassVar[str] = "Zhou et al. 2022 (arXiv 2109.01134), unified context, class name last"
    towers: ClassVar[tuple[Tower, ...]] = ("text",)

    length: int = Field(default=16, ge=1)
    depth: int = Field(default=1, ge=1)

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 50 epochs for 1 shot, 100 for 2 and 4, and 200 for more."""
        del images
        return coop_recipe(lr=2e-3, epochs=_EPOCHS.get(shots, 200), batch_size=32)
