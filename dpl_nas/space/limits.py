"""Limits on the total cost of the context vectors of all layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.io.validation import Frozen
from dpl_nas.space.flops import flops_per_vector, image_tower_size
from dpl_nas.space.towers import Tower

__all__ = ["LIMIT_KEYS", "Limit", "LimitKey", "limit_of"]

#: The settings of a space that are limits; each is a field of :class:`~dpl_nas.space.Space`.
LimitKey = Literal["max_context_vectors", "max_flops"]
LIMIT_KEYS: tuple[LimitKey, ...] = get_args(LimitKey)


_UNITS: dict[LimitKey, str] = {
    "max_context_vectors": "context vectors",
    "max_flops": "FLOPs an image",
}


class Limit(Frozen):
    """A limit on the total cost of the context vectors of all layers.

    Attributes
    ----------
    key
        The setting of the space that it comes from.
    most
        The largest cost that fits.
    per_vector
        Cost of one context vector by tower, the same at every layer.
    """

    key: LimitKey
    most: int
    per_vector: dict[Tower, int]

    @property
    def unit(self) -> str:
        """The unit of the cost, for messages."""
        return _UNITS[self.key]

    def cost(self, lengths: Mapping[Tower, Iterable[int]]) -> int:
        """Return the total cost of all context vectors."""
        return sum(self.per_vector[tower] * sum(part) for tower, part in lengths.items())


def limit_of(
    key: LimitKey, most: float, backbone: BackboneConfig, towers: Iterable[Tower]
) -> Limit:
    """Return the limit that a setting of a space defines.

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
