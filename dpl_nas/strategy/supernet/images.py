"""The images of a supernet's training, and the number of epochs that the budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate, takewhile

from dpl_nas.config import SupernetSettings
from dpl_nas.errors import StrategyError
from dpl_nas.strategy.search import Search
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.losses import CrossEntropy, Loss, balancing_weights
from dpl_nas.training.model import class_inputs, class_offsets

__all__ = ["Supernet"]


class Supernet:
    """The few-shot images, captions and loss of a supernet.

    Attributes
    ----------
    training, validation
        The two parts of the images that the search sees; validation images get the test
        transform, as published.
    text
        What stands for the classes.
    offsets
        Offsets of class features that it learns, if it does.
    loss
        Loss that its training minimises.
    """

    def __init__(self, search: Search, settings: SupernetSettings) -> None:
        task, backbone = search.task, search.backbone
        split = search.engine.settings.split
        augmentation = chosen_augmentation(task, settings.augmentation)
        self.training = FewShotImages(task.pool, split.train, backbone, augmentation)
        self.validation = FewShotImages(task.pool, split.validation, backbone, "none")
        self.text = class_inputs(backbone, task, split.train, settings.template)
        self.offsets = class_offsets(backbone, search.problem.recipe, self.text)
        # Batches of a supernet have every image once, so the loss alone balances classes.
        weights = balancing_weights(
            search.problem.recipe, self.training.labels.to(backbone.device), len(task.class_names)
        )
        self.loss: Loss = CrossEntropy(weights=weights)
        self._search = search
        self._settings = settings

    @property
    def steps_an_epoch(self) -> int:
        """Number of prompt steps of an epoch."""
        return math.ceil(len(self.training) / self._settings.batch_size)

    def reserve(self, trials: int) -> float:
        """Steps to keep for ``trials``: at least for one, at most half of what is left for more."""
        engine = self._search.engine
        steps = engine.trial_cost.steps
        return min(trials * steps, max(steps, engine.steps_left / 2))

    def affordable_epochs(self, steps: Callable[[int], int], reserved: float) -> int:
        """Number of epochs: those of the settings, or fewer if the budget allows no more.

        ``reserved`` steps of the budget are not used.

        Parameters
        ----------
        steps
            Function of an epoch's number, from 0, that gives its steps.

        Raises
        ------
        StrategyError
            If the budget does not cover a single epoch.
        """
        left = self._search.engine.steps_left - reserved
        taken = accumulate(steps(epoch) for epoch in range(self._settings.epochs))
        epochs = sum(1 for _ in takewhile(lambda each: each <= left, taken))
        if epochs < 1:
            kept = (
                f", and {math.ceil(reserved)} are kept for the rest of the search"
                if reserved
                else ""
            )
            raise StrategyError(
                f"the budget of {self._search.engine.steps_left:g} training steps is too small: "
                f"an epoch of the supernet takes {steps(0)}{kept}; allow more"
            )
        return epochs
