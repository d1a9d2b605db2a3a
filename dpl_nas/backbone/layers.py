"""Check that a tower has the layers that something needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dpl_nas.errors import ArchitectureError, DplError
from dpl_nas.space import Tower

if TYPE_CHECKING:
    from dpl_nas.backbone.frozen import Backbone

__all__ = ["check_layers", "missing_layers"]


def missing_layers(depth: int, layers: Iterable[int]) -> tuple[int, ...]:
    """Return those ``layers``, counted from 0, that a tower of ``depth`` layers lacks."""
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
    """Raise an error unless the tower has all ``layers``.

    Parameters
    ----------
    asks
        Words before the layer in the message, such as ``the prompts have``.
    error
        Class of the error.
    remedy
        Advice to the user, where it is not obvious.

    Raises
    ------
    DplError
        An ``error`` that names the last missing layer.
    """
    depth = backbone.layers[tower]
    missing = missing_layers(depth, layers)
    if missing and tower in backbone.plain:
        raise error(
            f"{asks} {tower}/{missing[-1]}, but the {tower} tower of {backbone.name} has no layers "
            f"that can be searched, since {backbone.plain[tower]}"
            f"{f': {remedy}' if remedy else ': search its other tower'}"
        )
    if missing:
        raise error(
            f"{asks} {tower}/{missing[-1]}, but the {tower} tower of {backbone.name} has {depth} "
            f"layers, counted from 0{f': {remedy}' if remedy else ''}"
        )
