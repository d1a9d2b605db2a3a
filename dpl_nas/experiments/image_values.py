"""What a trial found of single validation images, as short text: NNI's database keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpl_nas.engine import Outcome

__all__ = ["images_as_text", "images_from_text"]

_RIGHT, _LOSSES = "right", "losses"


def images_as_text(outcome: Outcome) -> dict[str, str]:
    """Return ``right``, a digit 0 or 1 for each image, and ``losses``, numbers with spaces."""
    return {
        _RIGHT: "".join(str(int(each)) for each in outcome.right),
        _LOSSES: " ".join(map(repr, outcome.losses)),
    }


def images_from_text(result: Mapping[str, Any]) -> tuple[tuple[bool, ...], tuple[float, ...]]:
    """Return the values of :func:`images_as_text`; none of a trial of an older version.

    Raises
    ------
    ValueError
        If they are something else, or not of ``validation_images`` images.
    """
    right, losses = str(result.get(_RIGHT, "")), str(result.get(_LOSSES, "")).split()
    if set(right) - {"0", "1"}:
        raise ValueError(f"expected digits 0 and 1, found {right!r}")
    if right and not len(right) == len(losses) == int(result["validation_images"]):
        raise ValueError(
            f"expected {result['validation_images']} images, found {len(right)} and {len(losses)}"
        )
    return tuple(each == "1" for each in right), tuple(map(float, losses))
