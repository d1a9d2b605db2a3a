"""How long a method's prompts, or how high its ranks, are at each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from dpl_nas.backbone import Backbone, check_layers
from dpl_nas.errors import ConfigError
from dpl_nas.space import Architecture, Tower

__all__ = ["LayerLengths", "Lengths", "lengths_at", "lengths_of"]

#: A length for each layer of a tower, from the first; towers that are left out are plain.
Lengths = dict[Tower, tuple[Annotated[int, Field(ge=0, strict=True)], ...]]
#: Lengths over 0, by tower and layer.
LayerLengths = dict[Tower, dict[int, int]]


def lengths_at(
    backbone: Backbone, lengths: Lengths | None, published: Mapping[Tower, tuple[int, int]]
) -> LayerLengths:
    """Return the lengths that a method has in a backbone.

    Parameters
    ----------
    lengths
        Those of one's own, such as a search found.
    published
        Otherwise ``(length, depth)`` for each tower: the first ``depth`` layers have that length.
        A tower with fewer layers has it everywhere.

    Raises
    ------
    ConfigError
        If the backbone lacks a layer.
    """
    if lengths is None:
        return {
            tower: dict.fromkeys(range(min(depth, backbone.layers[tower])), length)
            for tower, (length, depth) in published.items()
            if length
        }
    found: LayerLengths = {}
    for tower, each in lengths.items():
        own = {layer: length for layer, length in enumerate(each) if length}
        check_layers(backbone, tower, own, asks="the method has lengths for", error=ConfigError)
        if own:
            found[tower] = own
    return found


def lengths_of(architecture: Architecture) -> Lengths:
    """Return the lengths of an architecture, 0 at layers that were not searched."""
    found: Lengths = {}
    for tower, layers in architecture.layers.items():
        own = dict(zip(layers, architecture.lengths[tower], strict=True))
        found[tower] = tuple(own.get(layer, 0) for layer in range(max(own, default=-1) + 1))
    return found
