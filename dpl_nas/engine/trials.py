"""One trial: an architecture trained on a part of the shots, validated on the rest."""

from __future__ import annotations

import hashlib
import json
import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from dpl_nas.config import SearchSettings, TrainSettings
from dpl_nas.engine.cost import Cost, price_training
from dpl_nas.engine.evaluation import Outcome
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Architecture
from dpl_nas.tasks import FewShotSplit
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluation import Scorer
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem
from dpl_nas.training.searched import ArchitectureTraining

__all__ = ["FewShotTrials", "TrialSettings", "measure", "peak_bytes", "state_name", "trainings"]

_BATCH = 100


@dataclass(frozen=True)
class TrialSettings:
    """All that decides the result of a trial, but for the architecture and the epochs.

    Attributes
    ----------
    search
        Settings of the search, which say where the validation images come from, and for how many
        epochs a trial trains.
    exchanged
        Whether the training images and the validation images change places.
    """

    problem: Problem
    search: SearchSettings = SearchSettings()
    exchanged: bool = False

    __repr__ = short_repr

    @property
    def split(self) -> FewShotSplit:
        """The training images and the validation images."""
        split = self.problem.split(self.search)
        if self.exchanged:
            return FewShotSplit(split.shots, split.validation, split.train)
        return split

    @property
    def has_halves(self) -> bool:
        """Whether training and validation images are halves of the shots."""
        return self.search.validation == "split" and self.search.validation_shots is None

    def cost(self) -> Cost:
        """Steps and images of a trial; the images are drawn for it."""
        size = self.problem.recipe.batch_size
        return price_training(len(self.split.train), size, self.epochs)

    @property
    def epochs(self) -> int:
        """Epochs of a trial: all of the recipe, or fewer."""
        return max(1, round(self.search.trial_share * self.problem.recipe.epochs))

    @property
    def recipe(self) -> TrainSettings:
        """The recipe that trials are trained with; its schedule ends with their last epoch."""
        return self.problem.recipe.model_copy(update={"epochs": self.epochs})

    @property
    def images(self) -> str:
        """Digest of the drawn images, of their transforms and of the captions."""
        split = self.split
        return self.problem.digest((*split.train, *split.validation))

    def identity(self) -> Mapping[str, Any]:
        """The values that two ledgers must share for their lines to mean the same."""
        problem = self.problem
        space, task = problem.space, problem.task
        return {
            "task": task.name,
            "classes": list(task.class_names),
            "space": space.id,
            "limits": {limit.key: limit.most for limit in space.limits},
            "weights": problem.backbone.fingerprint,
            "precision": space.backbone.precision,
            "shots": problem.shots,
            "seed": problem.seed,
            "validation": self.search.validation,
            "validation_shots": self.search.validation_shots,
            "train": self.recipe.model_dump(mode="json"),
            "template": task.template,
            "augmentation": task.augmentation,
            "set of images": self.images,
            **({"halves": "exchanged"} if self.exchanged else {}),
            **({} if problem.method is None else {"method": problem.method.identity()}),
        }


class FewShotTrials:
    """Runs trials one after another; backbone, captions and decoded images stay loaded.

    Raises
    ------
    TaskError
        If there are too few images.
    ConfigError
        If the backbone that the space names has other weights than the search began with.
    """

    def __init__(self, settings: TrialSettings) -> None:
        problem = settings.problem
        self._settings = settings
        self._batch_size = problem.recipe.batch_size
        self._backbone = problem.backbone
        problem = problem.having(recipe=settings.recipe)
        split = settings.split
        self._training = trainings(problem, split.train)
        # Validation images get the test transform, as in the paper.
        self._validation = FewShotImages(
            problem.task.pool, split.validation, self._backbone, "none"
        )

    def cost(self, epochs: int, done: int = 0) -> Cost:
        """Steps and images of a training from epoch ``done`` to ``epochs``."""
        training = self._training
        return price_training(training.images_an_epoch, self._batch_size, epochs - done)

    def run(
        self,
        architecture: Architecture,
        epochs: int,
        state: AnyPath | None = None,
        observer: Observer | None = None,
    ) -> tuple[Outcome, float]:
        """Train ``architecture`` up to ``epochs`` and validate it.

        Parameters
        ----------
        state
            File of the training's state. The training goes on from it if it is there, and may go
            on from it later.

        Returns
        -------
        tuple
            The outcome, and the seconds that it took.
        """
        started = time.perf_counter()
        scorer = self._training.scorer_of(
            architecture, epochs=epochs, state=state, observer=observer, stage=Stage.TRIAL
        )
        outcome = self.validate(scorer)
        return outcome, time.perf_counter() - started

    def run_stack(
        self, architectures: Sequence[Architecture], epochs: int
    ) -> list[tuple[Outcome, float]]:
        """Run the trials of several architectures side by side; each has an equal share of seconds.

        The outcomes are those that each has alone, but for rounding.
        """
        started = time.perf_counter()
        scorers = self._training.scorers_of(architectures, epochs=epochs)
        outcomes = [self.validate(each) for each in scorers]
        seconds = (time.perf_counter() - started) / len(outcomes)
        return [(outcome, seconds) for outcome in outcomes]

    @property
    def stack_size(self) -> int:
        """How many architectures to train side by side."""
        return self._training.stack_size

    def validate(self, scorer: Scorer) -> Outcome:
        """Accuracy and mean cross-entropy on all validation images."""
        return measure(scorer, self._validation)


def trainings(problem: Problem, rows: Sequence[int]) -> ArchitectureTraining:
    """Return the trainings of a problem on images of its task's pool: of its method, if any."""
    if problem.method is None:
        return FewShotTraining(problem, rows)
    return problem.method.training(problem, rows)


@torch.no_grad()
def measure(scorer: Scorer, images: FewShotImages) -> Outcome:
    """Accuracy and mean cross-entropy on all of a few images."""
    count = len(images)
    right: list[bool] = []
    losses: list[float] = []
    for rows in images.parts(_BATCH):
        pixels, labels = images.batch(rows, seed=0)
        logits = scorer.logits(pixels).float()
        right += (logits.argmax(dim=-1) == labels).tolist()
        losses += functional.cross_entropy(logits, labels, reduction="none").tolist()
    mean = math.fsum(losses) / count
    return Outcome(sum(right) / count, mean, count, tuple(right), tuple(losses))


def state_name(architecture: Architecture) -> str:
    """The file name for the state of an architecture's training."""
    text = json.dumps(architecture.plain_lengths(), sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.state"


def peak_bytes() -> int:
    """The peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
