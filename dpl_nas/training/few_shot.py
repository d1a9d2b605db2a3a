"""Few-shot training of the context vectors of one architecture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import TrainSettings
from dpl_nas.observer import Observer
from dpl_nas.space import Architecture, Space
from dpl_nas.tasks import Task, few_shot_split
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.distributed import ALONE, Ranks, on_devices
from dpl_nas.training.inputs import TrainingInputs
from dpl_nas.training.loop import TrainingLoop
from dpl_nas.training.losses import Loss, recipe_loss
from dpl_nas.training.model import (
    class_captions,
    context_vectors,
    fixed_model,
    initialise_contexts,
)
from dpl_nas.training.prompts import PromptsMetadata, TrainedPrompts

__all__ = ["FewShotTraining", "train"]


class FewShotTraining:
    """What the trainings of many architectures on the same images share.

    Images are decoded once, and captions embedded once; :meth:`train` may be called again and
    again. What it returns depends on its arguments alone.

    Parameters
    ----------
    space
        What the architectures belong to.
    rows
        Indices into the task's training images: what is trained on.
    shots, seed
        Images a class, for the record, and of initialisation and order.
    settings
        The recipe; the defaults of :class:`~dpl_nas.config.TrainSettings` if not given.
    loss
        What is minimised; by default what the settings stand for.
    ranks
        Which process this is of those that share every batch.
    """

    def __init__(
        self,
        space: Space,
        task: Task,
        backbone: Backbone,
        rows: Sequence[int],
        *,
        shots: int,
        seed: int,
        settings: TrainSettings | None = None,
        loss: Loss | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self.settings = settings or TrainSettings()
        self._space = space
        self._task = task
        self._backbone = backbone
        self._shots = shots
        self._seed = seed
        augmentation = chosen_augmentation(task, self.settings.augmentation)
        self._constant = augmentation == "none"
        self._images = FewShotImages(task.train, rows, backbone, augmentation)
        self._text = class_captions(
            backbone, task.class_names, task.template, task.templates, self.settings.template
        )
        self._loss = loss or recipe_loss(self.settings, task, backbone)

    @property
    def steps_an_epoch(self) -> int:
        """Training steps, of one batch each."""
        return math.ceil(len(self._images) / self.settings.batch_size)

    @property
    def images_an_epoch(self) -> int:
        """Images that are trained on, each once."""
        return len(self._images)

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        observer: Observer | None = None,
        stage: str = "train",
    ) -> TrainedPrompts:
        """Learn the context vectors of ``architecture``.

        Parameters
        ----------
        epochs
            Stop after so many; the learning rate goes by the recipe's own number all the same,
            so that a training that goes on later ends as one that never stopped.
        state
            A file that is written after every epoch and, if it is there, gone on from; the
            result is that of an uninterrupted training.
        stage
            What ``observer`` is told this is.

        Raises
        ------
        ArchitectureError
            If the architecture belongs to another space.
        ConfigError
            If the loss or the context vectors stop being finite numbers.
        CheckpointError
            If ``state`` is damaged or of another training.
        """
        self._space.check(architecture)
        model = fixed_model(self._backbone, architecture)
        initialise_contexts(model, self.settings.init, self._seed)
        if architecture.vectors:
            teacher = self._loss.teacher
            inputs = TrainingInputs(self._images, model, teacher, constant=self._constant)
            loop = TrainingLoop(
                model,
                inputs,
                self._text,
                self._loss,
                self.settings,
                self._seed,
                observer or Observer(),
                stage,
                self._ranks,
            )
            loop.run(self.settings.epochs if epochs is None else epochs, state)
        return TrainedPrompts(
            PromptsMetadata(
                architecture=architecture,
                space=self._space,
                fingerprint=self._backbone.fingerprint,
                task=self._task.name,
                class_names=self._task.class_names,
                template=self._task.template,
                templates=self._task.templates,
                text_template=self.settings.template,
                shots=self._shots,
                seed=self._seed,
            ),
            context_vectors(model),
        )


def train(
    architecture: Architecture,
    space: Space,
    task: Task,
    *,
    shots: int = 16,
    seed: int = 1,
    settings: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    state: Path | None = None,
    observer: Observer | None = None,
    stage: str = "train",
    devices: int = 1,
    ranks: Ranks = ALONE,
) -> TrainedPrompts:
    """Learn the context vectors of ``architecture`` from ``shots`` images a class.

    Parameters
    ----------
    settings
        The recipe; the defaults of :class:`~dpl_nas.config.TrainSettings` if not given.
    backbone
        Loaded from ``space.backbone`` if not given.
    state, stage
        As in :meth:`FewShotTraining.train`.
    devices
        GPUs, or processes on the CPU, that share every batch.
    ranks
        Which of them this is; ``devices`` sees to it.

    Returns
    -------
    TrainedPrompts
        Of the last epoch: nothing is selected on any image.

    Raises
    ------
    ArchitectureError
        If the architecture belongs to another space.
    TaskError
        If a class has fewer than ``shots`` training images.
    ConfigError
        If the loss or the context vectors stop being finite numbers, or there are fewer GPUs
        than ``devices``.
    CheckpointError
        If ``state`` is damaged or of another training.
    """
    space.check(architecture)
    backbone = backbone or load_backbone(space.backbone, device)
    if devices > 1:
        work = partial(
            train, architecture, space, task, shots=shots, seed=seed, settings=settings, state=state
        )
        return on_devices(devices, work, backbone, observer=observer, stage=stage)
    rows = few_shot_split(task, shots, seed).shots
    training = FewShotTraining(
        space, task, backbone, rows, shots=shots, seed=seed, settings=settings, ranks=ranks
    )
    return training.train(architecture, state=state, observer=observer, stage=stage)
