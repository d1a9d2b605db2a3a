"""Few-shot training of the context vectors of one architecture."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from dpl_nas.backbone import Backbone, TextInputs, load_backbone
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.observer import Observer
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, load_architecture, load_space
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.training.batches import FewShotImages, chosen_augmentation, epoch_rows
from dpl_nas.training.distributed import ALONE, Ranks, on_devices
from dpl_nas.training.inputs import TrainingInputs
from dpl_nas.training.model import (
    class_captions,
    context_vectors,
    fixed_model,
    initialise_contexts,
)
from dpl_nas.training.optimizers import build_optimizer, learning_rate, set_learning_rate
from dpl_nas.training.prompts import PromptsMetadata, TrainedPrompts
from dpl_nas.training.state import check_layout, load_state, save_state
from dpl_nas.training.teacher import ZeroShotTeacher, distillation_loss

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
        # A weight of 0 must not cost a forward pass of the teacher.
        self._teacher = (
            ZeroShotTeacher(backbone, task.templates or (task.template,), task.class_names)
            if self.settings.distillation.weight
            else None
        )

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
            inputs = TrainingInputs(self._images, model, self._teacher, constant=self._constant)
            loop = _Loop(
                model,
                inputs,
                self._text,
                self._seed,
                self.settings,
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
    architecture: Architecture | str | Path,
    space: Space | str | Path,
    task: Task | str | Path,
    *,
    shots: int = 16,
    seed: int = 1,
    settings: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    state: str | Path | None = None,
    observer: Observer | None = None,
    stage: str = "train",
    devices: int = 1,
    ranks: Ranks = ALONE,
) -> TrainedPrompts:
    """Learn the context vectors of ``architecture`` from ``shots`` images a class.

    Parameters
    ----------
    architecture, space, task
        Themselves; or an ``architecture.json``, and names or paths.
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
    space, task = load_space(space), load_task(task)
    architecture = load_architecture(architecture)
    state = None if state is None else Path(state)
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


class _Loop:
    def __init__(
        self,
        model: PromptedCLIP,
        inputs: TrainingInputs,
        text: TextInputs,
        seed: int,
        settings: TrainSettings,
        observer: Observer,
        stage: str,
        ranks: Ranks,
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._text = text
        self._seed = seed
        self._settings = settings
        self._observer = observer
        self._stage = stage
        self._ranks = ranks
        self._optimizer = build_optimizer(model.parameters(), settings.optimizer)
        ranks.sum_gradients(self._optimizer)

    def run(self, epochs: int, state: Path | None) -> None:
        done = self._restore(state)
        self._observer.begin(self._stage, epochs, done)
        for epoch in range(done, epochs):
            started = time.perf_counter()
            loss, accuracy = self._epoch(epoch)
            if not math.isfinite(loss):
                raise ConfigError(
                    f"the training loss became {loss} in epoch {epoch}: {self._remedy()}"
                )
            # The last step may be the one too many; no loss would tell.
            if not all(bool(each.isfinite().all()) for each in self._model.parameters()):
                raise ConfigError(
                    f"the context vectors were not finite after epoch {epoch}: {self._remedy()}"
                )
            if state is not None and self._ranks.first:
                self._save(state, epoch + 1)
            self._observer.advance(
                self._stage,
                epoch + 1,
                {
                    "loss": loss,
                    "train_accuracy": accuracy,
                    "seconds": time.perf_counter() - started,
                },
            )
        self._observer.end(self._stage)

    def _epoch(self, epoch: int) -> tuple[float, float]:
        settings = self._settings
        set_learning_rate(
            self._optimizer, learning_rate(settings.optimizer, epoch, settings.epochs)
        )
        # Of the loss and of what is right, weighed by images.
        total = torch.zeros(2, device=self._model.backbone.device)
        order = epoch_rows(len(self._inputs), settings.batch_size, self._seed, epoch)
        jobs = [
            (rows, derive_seed(self._seed, "augment", epoch, step))
            for step, rows in enumerate(order)
        ]
        batches = self._inputs.batches(jobs, self._ranks)
        for rows, (inputs, labels, opinions) in zip(order, batches, strict=True):
            logits = self._model(inputs, self._text)
            loss = functional.cross_entropy(logits, labels)
            if opinions is not None:
                loss = loss + settings.distillation.weight * distillation_loss(
                    logits, opinions, settings.distillation.temperature
                )
            weight = self._ranks.weight(len(rows))
            self._optimizer.zero_grad()
            (loss * weight).backward()
            self._optimizer.step()
            right = (logits.detach().argmax(dim=-1) == labels).sum() * bool(weight)
            total += torch.stack([loss.detach() * (weight * len(rows)), right])
        loss, accuracy = (self._ranks.total(total) / len(self._inputs)).tolist()
        return loss, accuracy

    def _restore(self, path: Path | None) -> int:
        saved = load_state(path) if path is not None else None
        if path is None or saved is None:
            return 0
        expected = {
            "contexts": self._model.state_dict(),
            "optimizer": _stepped(self._model, self._settings.optimizer).state_dict(),
            "epochs": self._settings.epochs,
        }
        check_layout(path, saved, expected)
        if not 1 <= saved["epochs"] <= self._settings.epochs:
            raise CheckpointError(
                f"{path} should hold 1 to {self._settings.epochs} epochs, found "
                f"{saved['epochs']}: remove it to start that stage afresh"
            )
        self._model.load_state_dict(saved["contexts"])
        # The settings are this run's own, so they are taken from no file.
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict(
            {"state": saved["optimizer"]["state"], "param_groups": groups}
        )
        return int(saved["epochs"])

    def _remedy(self) -> str:
        if self._settings.distillation.weight:
            return (
                "lower train.optimizer.lr, or set train.distillation.temperature nearer to 1 and "
                "train.distillation.weight lower"
            )
        return "lower train.optimizer.lr"

    def _save(self, path: Path, epochs: int) -> None:
        save_state(
            path,
            {
                "contexts": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "epochs": epochs,
            },
        )


def _stepped(model: PromptedCLIP, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """An optimizer that made a step on the like of the parameters: its state is laid out so."""
    parameters = [nn.Parameter(torch.zeros_like(each.detach())) for each in model.parameters()]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = build_optimizer(parameters, settings)
    optimizer.step()
    return optimizer
