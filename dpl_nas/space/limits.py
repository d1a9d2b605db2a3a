"""What the context vectors of all layers may cost together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.io.validation import Frozen
from dpl_nas.space.flops import flops_per_vector, image_tower_size
from dpl_nas.space.towers import Tower

__all__ = ["Limit", "LimitKey", "limit_of"]

LimitKey = Literal["max_context_vectors", "max_flops"]


_UNITS: dict[LimitKey, str] = {
    "max_context_vectors": "context vectors",
    "max_flops": "FLOPs an image",
}


class Limit(Frozen):
    """How much the context vectors of all layers may cost together.

    Attributes
    ----------
    key
        The setting of the space that it comes from.
    most
        The largest cost that fits.
    per_vector
        What one context vector costs, wherever it is in a tower.
    """

    key: LimitKey
    most: int
    per_vector: dict[Tower, int]

    @property
    def unit(self) -> str:
        """What is counted, for people."""
        return _UNITS[self.key]

    def cost(self, lengths: Mapping[Tower, Iterable[int]]) -> int:
        """What all context vectors cost together."""
        return sum(self.per_vector[tower] * sum(part) for tower, part in lengths.items())


def limit_of(
    key: LimitKey, most: float, backbone: BackboneConfig, towers: Iterable[Tower]
) -> Limit:
    """The limit that a setting of a space stands for.

    Raises
    ------
    BackboneError
        If FLOPs are limited and the size of the image tower is not known.
    """
    per_vector = dict.fromkeys(towers, 1)
    if key == "max_flops":
        per_vector = {
            # The text tower runs once for all images.
            tower: flops_per_vector(image_tower_size(backbone.model)) if tower == "image" else 0
            for tower in per_vector
        }
    return Limit(key=key, most=math.floor(most), per_vector=per_vector)
