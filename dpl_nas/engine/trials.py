"""One trial: an architecture trained on a part of the shots, validated on the rest."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn import functional

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig, TrainSettings
from dpl_nas.engine.evaluation import Cost, Outcome
from dpl_nas.errors import ConfigError
from dpl_nas.observer import Observer
from dpl_nas.space import Architecture, Space
from dpl_nas.tasks import FewShotSplit, Task, few_shot_split, task_digest
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluate import Classifier, prompted
from dpl_nas.training.train import FewShotTraining

__all__ = ["FewShotTrials", "TrialSettings", "measured", "peak_bytes"]

_BATCH = 100


@dataclass(frozen=True)
class TrialSettings:
    """All that decides what a trial measures, but for the architecture and the epochs.

    Plain values and paths, so that it can be sent to another process.

    Attributes
    ----------
    validation, validation_shots
        Where the validation images come from (:func:`dpl_nas.tasks.few_shot_split`).
    fingerprint
        Of the backbone's weights.
    """

    space: Space
    task: Task
    shots: int
    seed: int
    train: TrainSettings
    validation: Literal["split", "extra"]
    validation_shots: int | None
    device: str
    fingerprint: str

    @classmethod
    def of_run(cls, config: RunConfig, task: Task, backbone: Backbone) -> TrialSettings:
        """Those of the trials of a run."""
        search = config.strategy.search
        return cls(
            space=config.space,
            task=task,
            shots=config.shots,
            seed=config.seed,
            train=config.strategy.train,
            validation=search.validation,
            validation_shots=search.validation_shots,
            device=str(backbone.device),
            fingerprint=backbone.fingerprint,
        )

    @property
    def split(self) -> FewShotSplit:
        """The images that are trained on, and those that are validated on."""
        return few_shot_split(
            self.task, self.shots, self.seed, self.validation, self.validation_shots
        )

    @property
    def images(self) -> str:
        """A digest of the images that are drawn, and of how they and the classes are shown."""
        split = self.split
        return task_digest(self.task, (*split.train, *split.validation))

    def identity(self) -> Mapping[str, Any]:
        """What two ledgers must have in common for their lines to mean the same."""
        return {
            "task": self.task.name,
            "classes": list(self.task.class_names),
            "space": self.space.id,
            "limits": {limit.key: limit.most for limit in self.space.limits},
            "weights": self.fingerprint,
            "precision": self.space.backbone.precision,
            "shots": self.shots,
            "seed": self.seed,
            "validation": self.validation,
            "validation_shots": self.validation_shots,
            "train": self.train.model_dump(mode="json"),
            "template": self.task.template,
            "augmentation": self.task.augmentation,
            "set of images": self.images,
        }


class FewShotTrials:
    """Runs trials one after another; backbone, captions and decoded images stay loaded.

    Parameters
    ----------
    backbone
        Loaded from the space if not given.

    Raises
    ------
    TaskError
        If there are too few images.
    ConfigError
        If the backbone that the space names has other weights than the search began with.
    """

    def __init__(self, settings: TrialSettings, backbone: Backbone | None = None) -> None:
        space, task = settings.space, settings.task
        self._backbone = backbone or load_backbone(space.backbone, settings.device)
        if self._backbone.fingerprint != settings.fingerprint:
            raise ConfigError(
                f"the weights of {self._backbone.name} are not those that the search began with: "
                "search with jobs=1, or name the weights in space.backbone.pretrained"
            )
        split = settings.split
        self._training = FewShotTraining(
            space,
            task,
            self._backbone,
            split.train,
            shots=settings.shots,
            seed=settings.seed,
            settings=settings.train,
        )
        # Validation images get the test transform, as published.
        self._validation = FewShotImages(task.train, split.validation, self._backbone, "none")

    def cost(self, epochs: int, done: int = 0) -> Cost:
        """What training from epoch ``done`` to ``epochs`` takes, in steps and images."""
        return Cost(
            steps=(epochs - done) * self._training.steps_an_epoch,
            images=(epochs - done) * self._training.images_an_epoch,
        )

    def run(
        self,
        architecture: Architecture,
        epochs: int,
        state: Path | None = None,
        observer: Observer | None = None,
    ) -> tuple[Outcome, float]:
        """Train ``architecture`` up to ``epochs`` and validate it.

        Parameters
        ----------
        state
            Where the training goes on later, and goes on from if it is there.

        Returns
        -------
        tuple
            What was measured, and the seconds that it took.
        """
        started = time.perf_counter()
        prompts = self._training.train(
            architecture, epochs=epochs, state=state, observer=observer, stage="trial"
        )
        outcome = self.validate(prompted(prompts, self._backbone))
        return outcome, time.perf_counter() - started

    def validate(self, classifier: Classifier) -> Outcome:
        """Accuracy and mean cross-entropy on all validation images."""
        return measured(classifier, self._validation)


@torch.no_grad()
def measured(classifier: Classifier, images: FewShotImages) -> Outcome:
    """Accuracy and mean cross-entropy on all of a few images."""
    count = len(images)
    correct, loss = 0, 0.0
    for start in range(0, count, _BATCH):
        rows = list(range(start, min(start + _BATCH, count)))
        pixels, labels = images.batch(rows, seed=0)
        logits = classifier.logits(pixels).float()
        correct += int((logits.argmax(dim=-1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return Outcome(correct / count, loss / count, count)


def state_name(architecture: Architecture) -> str:
    """A file name for the state of an architecture's training."""
    text = json.dumps(architecture.model_dump(mode="json")["lengths"], sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.state"


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
