"""Methods that learn in the towers, by steps of gradient descent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.methods.method import Method, Scorer
from dpl_nas.observer import Observer, Stage
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.training.batches import FewShotImages, chosen_augmentation
from dpl_nas.training.captions import check_different
from dpl_nas.training.distributed import ALONE
from dpl_nas.training.evaluation import Classifier
from dpl_nas.training.inputs import TrainingInputs
from dpl_nas.training.loop import TrainingLoop
from dpl_nas.training.losses import Loss, recipe_loss
from dpl_nas.training.model import class_captions
from dpl_nas.training.problem import Problem

__all__ = ["Recipe", "TowerMethod", "coop_recipe", "tower_images", "train_tower"]

#: The paper's, that of the problem, or settings of one's own.
Recipe = Literal["published", "problem"] | TrainSettings

#: What a small search multiplies the learning rate by.
_TIMES = (1.0, 0.25, 4.0)


def coop_recipe(lr: float, epochs: int, batch_size: int) -> TrainSettings:
    """Return the recipe that CoOp's code (Zhou et al. 2022) handed down, with three numbers."""
    optimizer = OptimizerSettings(
        name="sgd", lr=lr, momentum=0.9, weight_decay=5e-4, warmup_epochs=1, warmup_lr=1e-5
    )
    return TrainSettings(epochs=epochs, batch_size=batch_size, optimizer=optimizer)


class TowerMethod(Method):
    """A method whose parameters are those of an adapted CLIP.

    Attributes
    ----------
    recipe
        How it is trained.
    """

    transfers: ClassVar[bool] = True

    recipe: Recipe = "published"

    @abstractmethod
    def published(self, shots: int, images: int) -> TrainSettings:
        """Return the paper's recipe for so many shots, and images in all."""

    def variants(self, problem: Problem) -> Mapping[str, Method]:
        """Return the method with multiples of its recipe's learning rate."""
        recipe = self.recipe_of(problem.recipe, problem.shots, len(problem.shot_rows))
        recipes = [recipe.with_lr(times * recipe.optimizer.lr) for times in _TIMES]
        return {
            f"lr {each.optimizer.lr:.3g}": self.model_copy(update={"recipe": each})
            for each in recipes
        }

    @abstractmethod
    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model as it starts; ``seed`` decides what is drawn.

        Raises
        ------
        ConfigError
            If the backbone lacks a layer.
        """

    def captions(self, backbone: Backbone, task: Task) -> TextInputs:
        """Return what stands for the classes: by default the captions of the task's template."""
        return class_captions(backbone, task.class_names, task.template, (), "task")

    def loss(self, settings: TrainSettings, task: Task, backbone: Backbone, labels: Tensor) -> Loss:
        """Return what is minimised: by default the loss of the recipe.

        Parameters
        ----------
        labels
            Labels (images,) of the images that are trained on.
        """
        return recipe_loss(settings, task, backbone, labels)

    def averaging(self, epochs: int) -> Sequence[float] | None:
        """Return weights of the epochs if what is learned is the mean over them."""
        del epochs
        return None

    def recipe_of(self, recipe: TrainSettings, shots: int, images: int) -> TrainSettings:
        """Return the recipe for a problem that has ``recipe``, shots and so many images."""
        if isinstance(self.recipe, TrainSettings):
            return self.recipe
        if self.recipe == "problem":
            return recipe
        return self.published(shots, images)

    def learn(
        self, problem: Problem, rows: Sequence[int], state: Path | None, observer: Observer
    ) -> Mapping[str, Tensor]:
        """Train the model; what remains is that of the last epoch, or a mean over all."""
        recipe = self.recipe_of(problem.recipe, problem.shots, len(rows))
        images = tower_images(problem, rows, recipe)
        model, _ = train_tower(
            self, problem, images, problem.digest(rows), recipe, state=state, observer=observer
        )
        return model.state_dict()

    def scorer(self, tensors: Mapping[str, Tensor], backbone: Backbone, task: Task) -> Scorer:
        """Return the model with what it has learned."""
        model = self.model(backbone, 0).to(backbone.device).eval()
        model.load_state_dict(dict(tensors))
        text = self.captions(backbone, task)
        check_different(backbone, task, text)
        return self.answering(model, text)

    def answering(self, model: AdaptedCLIP, text: TextInputs) -> Scorer:
        """Return a trained model in use: by default class features are computed once."""
        with torch.no_grad():
            return Classifier(model.fold(), model.encode_text(text))

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """All numbers."""
        return sum(each.numel() for each in tensors.values())


def tower_images(problem: Problem, rows: Sequence[int], recipe: TrainSettings) -> FewShotImages:
    """Return images of the task's pool as they are trained on.

    Raises
    ------
    TaskError
        If they cannot be read.
    """
    augmentation = chosen_augmentation(problem.task, recipe.augmentation)
    return FewShotImages(problem.task.pool, rows, problem.backbone, augmentation)


def train_tower(
    method: TowerMethod,
    problem: Problem,
    images: FewShotImages,
    digest: str,
    recipe: TrainSettings,
    *,
    epochs: int | None = None,
    state: Path | None = None,
    observer: Observer,
    stage: str = Stage.TRAIN,
) -> tuple[AdaptedCLIP, TextInputs]:
    """Train a model; return it and what stands for the classes. Errors are as :meth:`Method.learn`.

    Parameters
    ----------
    images, digest
        Images that are trained on, and their digest.
    epochs
        Stop after so many; schedules go by the recipe's own number.
    """
    backbone, task = problem.backbone, problem.task
    text = method.captions(backbone, task)
    check_different(backbone, task, text)
    model = method.model(backbone, problem.seed).to(backbone.device)
    # With a length of 0 at all layers, there is nothing to learn.
    if not any(True for _ in model.parameters()):
        return model, text
    loss = method.loss(recipe, task, backbone, images.labels)
    constant = chosen_augmentation(task, recipe.augmentation) == "none"
    loop = TrainingLoop(
        model,
        TrainingInputs(images, model, loss.teacher, constant=constant),
        text,
        loss,
        recipe,
        problem.seed,
        observer,
        stage,
        ALONE,
        method.averaging(recipe.epochs),
    )
    loop.run(recipe.epochs if epochs is None else epochs, state, digest)
    return model, text
