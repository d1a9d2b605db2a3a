"""The unit that searches pay in, and the price of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from dpl_nas.training.few_shot import FewShotTraining

__all__ = ["Cost", "price_trial"]


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


def price_trial(training: FewShotTraining, epochs: int, done: int = 0) -> Cost:
    """Steps and images of a trial that trains from epoch ``done`` to ``epochs``.

    Its validation is free, as that of every strategy is.
    """
    return Cost(
        steps=(epochs - done) * training.steps_an_epoch,
        images=(epochs - done) * training.images_an_epoch,
    )
