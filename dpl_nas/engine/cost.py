"""The unit that searches pay in, and the price of a trial."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Cost", "price_training"]


@dataclass(frozen=True)
class Cost:
    """A cost.

    Attributes
    ----------
    steps
        Number of forward and backward passes of one batch.
    images
        Number of images in all of these batches; an image that was used twice counts twice.
    seconds
        Wall-clock time of the work itself; of parallel trials it adds up.
    """

    steps: int = 0
    images: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.steps + other.steps, self.images + other.images, self.seconds + other.seconds
        )


def price_training(images: int, batch_size: int, epochs: int) -> Cost:
    """Steps and images of a training on so many images.

    The validation of a trial is free, as that of every strategy is.
    """
    return Cost(steps=epochs * math.ceil(images / batch_size), images=epochs * images)
