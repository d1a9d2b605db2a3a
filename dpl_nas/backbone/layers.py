"""Which layers a tower has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dpl_nas.errors import ArchitectureError, DplError
from dpl_nas.space import Tower

if TYPE_CHECKING:
    from dpl_nas.backbone.frozen import Backbone

__all__ = ["check_layers", "missing_layers"]


def missing_layers(depth: int, layers: Iterable[int]) -> tuple[int, ...]:
    """Those of ``layers``, counted from 0, that a tower of ``depth`` layers does not have."""
    return tuple(layer for layer in layers if not 0 <= layer < depth)


def check_layers(
    backbone: Backbone,
    tower: Tower,
    layers: Iterable[int],
    *,
    asks: str,
    error: type[DplError] = ArchitectureError,
    remedy: str = "",
) -> None:
    """Complain unless the tower has all ``layers``.

    Parameters
    ----------
    asks
        Who asks for them, and how, before the layer: ``the prompts have``.
    error
        What to raise.
    remedy
        What to do, where it is not plain.

    Raises
    ------
    DplError
        An ``error`` that names the last layer that is missing.
    """
    depth = backbone.layers[tower]
    missing = missing_layers(depth, layers)
    if missing:
        raise error(
            f"{asks} {tower}/{missing[-1]}, but the {tower} tower of {backbone.name} has {depth} "
            f"layers, counted from 0{f': {remedy}' if remedy else ''}"
        )
