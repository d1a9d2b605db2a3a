"""Few-shot training of the context vectors of one architecture."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypedDict, Unpack, overload

import torch
from torch import Tensor, nn

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.console import watched
from dpl_nas.errors import ConfigError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.observer import Observer, Stage
from dpl_nas.prompted import PromptedCLIP, StackedCLIP
from dpl_nas.space import Architecture, Space, load_architecture, load_space
from dpl_nas.tasks import Task
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.captions import check_different
from dpl_nas.training.distributed import ALONE, Ranks, on_devices
from dpl_nas.training.evaluation import Classifier, build_classifier
from dpl_nas.training.inputs import TrainingInputs
from dpl_nas.training.loop import TrainingLoop
from dpl_nas.training.losses import Loss, recipe_loss
from dpl_nas.training.model import (
    class_inputs,
    class_offsets,
    context_vectors,
    fixed_model,
    initialise_contexts,
)
from dpl_nas.training.problem import Problem
from dpl_nas.training.prompts import PromptsMetadata, TrainedPrompts
from dpl_nas.training.stacks import stack_size

__all__ = ["FewShotTraining", "train"]


class TrainOptions(TypedDict, total=False):
    """Options of the training on a problem: see :func:`train`."""

    state: AnyPath | None
    observer: Observer | None
    quiet: bool
    stage: str
    devices: int


class FewShotTraining:
    """The shared part of trainings of many architectures on the same images.

    Images are decoded once, and captions embedded once; :meth:`train` may be called
    repeatedly. Its result depends on its arguments only.

    Parameters
    ----------
    problem
        Problem that the architectures belong to and are trained on.
    rows
        Indices into the task's pool; all of the stated shots by default.
    loss
        Loss to minimise; by default that of the recipe.
    ranks
        Rank of this process among those that share every batch.

    Raises
    ------
    TaskError
        If a class has too few training images.
    """

    def __init__(
        self,
        problem: Problem,
        rows: Sequence[int] | None = None,
        *,
        loss: Loss | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self._problem = problem
        task, backbone, recipe = problem.task, problem.backbone, problem.recipe
        self._rows = problem.shot_rows if rows is None else tuple(rows)
        augmentation = chosen_augmentation(task, recipe.augmentation)
        self._constant = augmentation == "none"
        self._images = FewShotImages(task.pool, self._rows, backbone, augmentation)
        self._text = class_inputs(backbone, task, self._rows, recipe.template)
        check_different(backbone, task, self._text)
        self._loss = loss or recipe_loss(recipe, task, backbone, self._images.labels)

    @cached_property
    def images(self) -> str:
        """A digest of what is trained on (:meth:`Problem.digest`)."""
        return self._problem.digest(self._rows)

    @property
    def steps_an_epoch(self) -> int:
        """Training steps, of one batch each."""
        return math.ceil(len(self._images) / self._problem.recipe.batch_size)

    @cached_property
    def _offsets(self) -> nn.Parameter | None:
        """Those of class features at the start; their shape takes a pass of the text tower."""
        return class_offsets(self._problem.backbone, self._problem.recipe, self._text)

    @cached_property
    def stack_size(self) -> int:
        """How many architectures to train side by side (:meth:`train_stack`)."""
        return stack_size(self._problem.backbone, self._text, self._problem.recipe.batch_size)

    @property
    def images_an_epoch(self) -> int:
        """Images that are trained on, each once."""
        return len(self._images)

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int | None = None,
        state: AnyPath | None = None,
        observer: Observer | None = None,
        stage: str = Stage.TRAIN,
    ) -> TrainedPrompts:
        """Learn the context vectors of ``architecture``.

        Parameters
        ----------
        epochs
            Stop after so many; the learning rate goes by the recipe's own number all the same,
            so that a training that goes on later ends as one that never stopped.
        state
            File that is written after every epoch. If it exists, training continues from it and
            ends as an uninterrupted one.
        stage
            Name of the stage for ``observer``.

        Raises
        ------
        ArchitectureError
            If the architecture belongs to another space.
        ConfigError
            If the loss or the context vectors stop being finite numbers.
        CheckpointError
            If ``state`` is damaged or of another training.
        """
        model = self._fresh(architecture)
        if any(True for _ in model.parameters()):
            file = None if state is None else Path(state)
            self._learn(model, epochs, file, observer, stage)
        return self._prompts(architecture, model)

    def scorer_of(
        self,
        architecture: Architecture,
        *,
        epochs: int | None = None,
        state: AnyPath | None = None,
        observer: Observer | None = None,
        stage: str = Stage.TRAIN,
    ) -> Classifier:
        """Return the classifier of what :meth:`train` learns."""
        prompts = self.train(
            architecture, epochs=epochs, state=state, observer=observer, stage=stage
        )
        return build_classifier(prompts, self._problem.backbone)

    def scorers_of(
        self, architectures: Sequence[Architecture], *, epochs: int | None = None
    ) -> list[Classifier]:
        """Return the classifiers of what :meth:`train_stack` learns."""
        backbone = self._problem.backbone
        stack = self.train_stack(architectures, epochs=epochs)
        return [build_classifier(prompts, backbone) for prompts in stack]

    def train_stack(
        self,
        architectures: Sequence[Architecture],
        *,
        epochs: int | None = None,
        observer: Observer | None = None,
        stage: str = Stage.TRAIN,
    ) -> list[TrainedPrompts]:
        """Learn the context vectors of several architectures side by side, in their order.

        Each is trained as by :meth:`train`, but for rounding; all together take less time where a
        model is small. :attr:`stack_size` says how many are worth it.

        Raises
        ------
        ArchitectureError, ConfigError
            As :meth:`train`, if it is so of any.
        """
        models = [self._fresh(each) for each in architectures]
        learning = [each for each in models if any(True for _ in each.parameters())]
        if learning:
            stack = StackedCLIP(learning).to(self._problem.backbone.device)
            self._learn(stack, epochs, None, observer, stage)
            stack.unstack()
        return [self._prompts(*each) for each in zip(architectures, models, strict=True)]

    def _fresh(self, architecture: Architecture) -> PromptedCLIP:
        problem = self._problem
        problem.space.check(architecture)
        model = fixed_model(problem.backbone, architecture, copy.deepcopy(self._offsets))
        initialise_contexts(model, problem.recipe.init, problem.seed)
        return model

    def _learn(
        self,
        model: PromptedCLIP | StackedCLIP,
        epochs: int | None,
        state: Path | None,
        observer: Observer | None,
        stage: str,
    ) -> None:
        recipe = self._problem.recipe
        teacher = self._loss.teacher
        loop = TrainingLoop(
            model,
            TrainingInputs(self._images, model, teacher, constant=self._constant),
            self._text,
            self._loss,
            recipe,
            self._problem.seed,
            observer or Observer(),
            stage,
            self._ranks,
        )
        loop.run(recipe.epochs if epochs is None else epochs, state, self.images)

    def _prompts(self, architecture: Architecture, model: PromptedCLIP) -> TrainedPrompts:
        problem, task = self._problem, self._problem.task
        return TrainedPrompts(
            PromptsMetadata(
                architecture=architecture,
                space=problem.space,
                fingerprint=problem.backbone.fingerprint,
                task=task.name,
                class_names=task.class_names,
                template=task.template,
                templates=task.templates,
                text_template=problem.recipe.template,
                shots=problem.shots,
                seed=problem.seed,
                folder=task.folder,
                images=self.images,
                data=task.data,
                classes=task.classes,
            ),
            context_vectors(model),
            self._class_features(model),
        )

    @torch.no_grad()
    def _class_features(self, model: PromptedCLIP) -> Tensor | None:
        """Those that no caption tells, in the host's memory."""
        if self._problem.backbone.classes_by != "means" and model.offsets is None:
            return None
        return model.encode_text(self._text).float().cpu()


@overload
def train(
    architecture: Architecture | AnyPath, problem: Problem, /, **options: Unpack[TrainOptions]
) -> TrainedPrompts: ...


@overload
def train(
    architecture: Architecture | AnyPath,
    space: Space | AnyPath,
    task: Task | AnyPath,
    *,
    shots: int = 16,
    seed: int = 1,
    settings: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    **options: Unpack[TrainOptions],
) -> TrainedPrompts: ...


@checked()
def train(
    architecture: Architecture | AnyPath,
    space: Space | Problem | AnyPath,
    task: Task | AnyPath | None = None,
    *,
    shots: int = 16,
    seed: int = 1,
    settings: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    state: AnyPath | None = None,
    observer: Observer | None = None,
    quiet: bool = False,
    stage: str = Stage.TRAIN,
    devices: int = 1,
) -> TrainedPrompts:
    """Learn the context vectors of ``architecture``: of a problem, or of a space and a task.

    ``train(architecture, problem)`` or ``train(architecture, space, task, shots=16, seed=1)``.

    Parameters
    ----------
    architecture, space, task
        Objects; or the path of an ``architecture.json``, and names or paths.
    shots, seed
        Images per class, and the seed of their draw.
    settings
        The recipe; the defaults of :class:`~dpl_nas.config.TrainSettings` if not given.
    backbone, device
        Loaded backbone, or device to which the space's backbone is loaded.
    state, stage
        State file and stage name of :meth:`FewShotTraining.train`.
    observer, quiet
        Who is told of the progress instead of the terminal or notebook; whether nobody is.
    devices
        Number of GPUs, or of processes on the CPU, that share every batch.

    Returns
    -------
    TrainedPrompts
        Prompts of the last epoch: no images are used for selection.

    Raises
    ------
    ArchitectureError
        If the architecture belongs to another space.
    TaskError
        If no class has ``shots`` training images, or two have the same caption.
    ConfigError
        If the loss or the context vectors stop being finite numbers, or there are fewer GPUs
        than ``devices``.
    CheckpointError
        If ``state`` is damaged or of another training.
    """
    check_whole("devices", devices, 1)
    architecture = load_architecture(architecture)
    state = None if state is None else Path(state)
    if isinstance(space, Problem):
        problem = space
    elif task is None:
        raise ConfigError(
            "expected train(architecture, space, task), found no task: give it, or its name"
        )
    else:
        space = load_space(space)
        # This comes before the weights are loaded, which takes seconds.
        space.check(architecture)
        problem = Problem.of(
            space, task, shots=shots, seed=seed, recipe=settings, backbone=backbone, device=device
        )
    problem.space.check(architecture)
    with watched(observer, quiet=quiet) as watching:
        problem.check(observer=watching)
        if devices > 1:
            work = partial(_train_there, architecture, problem, state)
            return on_devices(devices, work, problem.backbone, observer=watching, stage=stage)
        training = FewShotTraining(problem)
        return training.train(architecture, state=state, observer=watching, stage=stage)


def _train_there(
    architecture: Architecture,
    problem: Problem,
    state: Path | None,
    *,
    backbone: Backbone,
    ranks: Ranks,
    observer: Observer | None = None,
    stage: str = Stage.TRAIN,
) -> TrainedPrompts:
    """Run the part of one of several processes."""
    training = FewShotTraining(problem.on(backbone), ranks=ranks)
    return training.train(architecture, state=state, observer=observer, stage=stage)
