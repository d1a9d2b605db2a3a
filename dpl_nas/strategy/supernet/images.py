"""What the training of a supernet needs, and how many epochs the budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate, takewhile

from dpl_nas.config import SupernetSettings
from dpl_nas.errors import StrategyError
from dpl_nas.strategy.search import Search
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.losses import CrossEntropy, Loss
from dpl_nas.training.model import class_captions

__all__ = ["Supernet"]


class Supernet:
    """Few-shot images, captions and loss of a supernet.

    Attributes
    ----------
    training, validation
        The two parts of the images that the search sees; those for validation get the test
        transform, as published.
    text
        Captions of all classes.
    loss
        What its training minimises.
    """

    def __init__(self, search: Search, settings: SupernetSettings) -> None:
        task, backbone = search.task, search.backbone
        split = search.engine.settings.split
        augmentation = chosen_augmentation(task, settings.augmentation)
        self.training = FewShotImages(task.train, split.train, backbone, augmentation)
        self.validation = FewShotImages(task.train, split.validation, backbone, "none")
        self.text = class_captions(
            backbone, task.class_names, task.template, task.templates, settings.template
        )
        self.loss: Loss = CrossEntropy()
        self._search = search
        self._settings = settings

    @property
    def steps_an_epoch(self) -> int:
        """Prompt steps."""
        return math.ceil(len(self.training) / self._settings.batch_size)

    def affordable_epochs(self, steps: Callable[[int], int], reserved: float) -> int:
        """As many epochs as set, or as the budget allows beside ``reserved`` steps.

        Parameters
        ----------
        steps
            What the epoch with this number, from 0, takes.

        Raises
        ------
        StrategyError
            If there is no budget for a single one.
        """
        left = self._search.engine.steps_left - reserved
        taken = accumulate(steps(epoch) for epoch in range(self._settings.epochs))
        epochs = sum(1 for _ in takewhile(lambda each: each <= left, taken))
        if epochs < 1:
            beside = f" beside the {math.ceil(reserved)} for what it finds" if reserved else ""
            raise StrategyError(
                f"the budget of {self._search.engine.steps_left:g} training steps does not cover "
                f"an epoch of the supernet, which takes {steps(0)}{beside}: allow more"
            )
        return epochs
