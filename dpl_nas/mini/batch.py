"""A batch of pre-training: images, captions, and what is known of both."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["UNTOLD", "Batch"]

#: The value of a fact that a caption does not tell.
UNTOLD = -100


@dataclass(frozen=True)
class Batch:
    """Images with distinct captions.

    Attributes
    ----------
    images
        ``(b, 3, IMAGE_SIZE, IMAGE_SIZE)`` in 0..1.
    captions
        ``m`` captions of different meaning.
    fits
        Whether a caption is true of an image, ``(b, m)``: true of one or more in each row and
        column.
    facts
        The known facts of the images: an index into the values of each of `FACTS`, ``(b,)``.
    told
        The facts that captions tell, ``(m,)``: such an index, or `UNTOLD`.
    """

    images: Tensor
    captions: list[str]
    fits: Tensor
    facts: dict[str, Tensor]
    told: dict[str, Tensor]
