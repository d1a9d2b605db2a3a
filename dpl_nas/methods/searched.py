"""A method whose lengths by layer are searched as those of context vectors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dpl_nas.config import MethodConfig, RunConfig, TrainSettings
from dpl_nas.errors import ConfigError, SpaceError
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import validate
from dpl_nas.methods.depths import lengths_of
from dpl_nas.methods.layered import LayeredMethod
from dpl_nas.methods.method import Method
from dpl_nas.methods.registry import make_method, name_of
from dpl_nas.methods.towers import tower_images, train_tower
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Architecture, Space
from dpl_nas.tasks import Task
from dpl_nas.training.evaluation import Scorer
from dpl_nas.training.problem import Problem

__all__ = [
    "MethodTraining",
    "Searched",
    "as_searched",
    "problem_of_run",
    "searched_method",
    "with_towers_of",
]


@dataclass(frozen=True)
class Searched:
    """A method with a length, or a rank, for each layer of an architecture.

    Attributes
    ----------
    method
        The method; its lengths are replaced by those of an architecture.
    own_recipe
        Whether it is trained with the method's recipe, rather than with that of the strategy.
    """

    method: LayeredMethod
    own_recipe: bool = False

    __repr__ = short_repr

    @property
    def title(self) -> str:
        """Name as people write it."""
        return self.method.title

    @property
    def mixes(self) -> bool:
        """Whether lengths are of vectors that a layer attends to, which a supernet can mix."""
        return self.method.lengths_are_vectors

    def check_space(self, space: Space) -> None:
        """Raise a SpaceError if a tower of the space has no lengths in the method."""
        others = [tower for tower in space.towers if tower not in self.method.towers]
        if others:
            raise SpaceError(
                f"{self.title} has lengths in the {' and '.join(self.method.towers)} tower alone, "
                f"and space {space.name} has {' and '.join(others)}, too: leave it out of "
                "space.towers"
            )

    def space_of(self, space: Space) -> Space:
        """Return a space with only those towers that have lengths in the method.

        Raises
        ------
        SpaceError
            If no tower is left, or those that are cannot meet a limit.
        """
        own = [tower for tower in space.towers if tower in self.method.towers]
        if not own:
            raise SpaceError(
                f"{self.title} has lengths in the {' and '.join(self.method.towers)} tower alone, "
                f"which space {space.name} does not search: use another space"
            )
        if len(own) == len(space.towers):
            return space
        content = space.model_dump(mode="json")
        content["towers"] = {tower: content["towers"][tower] for tower in own}
        return validate(Space, content, f"space {space.name} of {self.title}", SpaceError)

    def recipe(self, recipe: TrainSettings, shots: int, images: int) -> TrainSettings:
        """Return the recipe that architectures are trained with: by default the strategy's."""
        return self.method.recipe_of(recipe, shots, images) if self.own_recipe else recipe

    def of(self, architecture: Architecture) -> LayeredMethod:
        """Return the method with the lengths of an architecture, and the recipe of its problem."""
        return self.method.model_copy(
            update={"lengths": lengths_of(architecture), "recipe": "problem"}
        )

    def as_published(self, problem: Problem) -> tuple[Scorer, Mapping[str, Sequence[int]]]:
        """Train it with its paper's lengths, and the recipe of the problem.

        Returns
        -------
        tuple
            What answers for images, and the lengths of the searched layers of each tower.
        """
        method = self.method.model_copy(update={"recipe": "problem"})
        backbone, space = problem.backbone, problem.space
        own = method.lengths_in(backbone)
        lengths = {
            str(tower): [own.get(tower, {}).get(layer, 0) for layer in part.layers]
            for tower, part in space.towers.items()
        }
        return method.adapt(problem, quiet=True).scorer(backbone, problem.task), lengths

    def training(self, problem: Problem, rows: Sequence[int]) -> MethodTraining:
        """Return the trainings on these images of the task's pool."""
        return MethodTraining(self, problem, rows)

    def identity(self) -> Mapping[str, Any]:
        """Return all that decides what it learns, as plain values; the recipe is the problem's."""
        settings = self.method.model_dump(mode="json", exclude={"lengths", "recipe"})
        return {"name": name_of(type(self.method)), "settings": settings}


class MethodTraining:
    """Trainings of a method with the lengths of many architectures; images are decoded once.

    Raises
    ------
    TaskError
        If the images cannot be read.
    """

    def __init__(self, searched: Searched, problem: Problem, rows: Sequence[int]) -> None:
        self._searched = searched
        self._problem = problem
        self._images = tower_images(problem, rows, problem.recipe)
        self._digest = problem.digest(rows)

    @property
    def images_an_epoch(self) -> int:
        """Images that are trained on, each once."""
        return len(self._images)

    @property
    def stack_size(self) -> int:
        """One at a time."""
        return 1

    def scorer_of(
        self,
        architecture: Architecture,
        *,
        epochs: int | None = None,
        state: AnyPath | None = None,
        observer: Observer | None = None,
        stage: str = Stage.TRAIN,
    ) -> Scorer:
        """Train the method with the lengths of ``architecture``.

        Raises
        ------
        ArchitectureError
            If the architecture belongs to another space.
        ConfigError
            If what is learned stops being finite numbers, or does not fit the backbone.
        """
        problem = self._problem
        problem.space.check(architecture)
        method = self._searched.of(architecture)
        model, text = train_tower(
            method,
            problem,
            self._images,
            self._digest,
            problem.recipe,
            epochs=epochs,
            state=None if state is None else Path(state),
            observer=observer or Observer(),
            stage=stage,
        )
        return method.answering(model.eval(), text)

    def scorers_of(
        self, architectures: Sequence[Architecture], *, epochs: int | None = None
    ) -> list[Scorer]:
        """Train one after the other."""
        return [self.scorer_of(each, epochs=epochs) for each in architectures]


def searched_method(config: MethodConfig) -> Searched:
    """Return the method of a configuration, to be searched.

    Raises
    ------
    ConfigError
        If it is unknown or has no lengths to search, or a setting is not valid.
    """
    return as_searched(
        make_method(config.name, **config.settings), own_recipe="recipe" in config.settings
    )


def as_searched(method: Method, *, own_recipe: bool = False) -> Searched:
    """Return a method as one to be searched.

    Parameters
    ----------
    own_recipe
        Whether it is trained with its own recipe, rather than with that of the strategy.

    Raises
    ------
    ConfigError
        If it has no lengths to search, or they are given.
    """
    if not isinstance(method, LayeredMethod) or not method.searched:
        raise ConfigError(
            f"{method.title} has no lengths by layer, so there is nothing to search: give another "
            "method, such as dpl, maple, promptsrc, vpt or clip-lora"
        )
    if method.lengths is not None:
        raise ConfigError("the lengths of the method are what is searched: leave them out")
    return Searched(method, own_recipe)


def problem_of_run(config: RunConfig, task: Task | None = None) -> Problem:
    """Return the problem of a run, with its method if it has one.

    Raises
    ------
    ConfigError
        If the method is unknown or has no lengths to search, or a setting is not valid.
    SpaceError
        If the space searches a tower that the method has no lengths in.
    """
    if config.method is None:
        return Problem.of_run(config, task)
    searched = searched_method(config.method)
    searched.check_space(config.space)
    problem = Problem.of_run(config.model_copy(update={"method": None}), task)
    recipe = searched.recipe(problem.recipe, problem.shots, len(problem.shot_rows))
    return replace(problem, recipe=recipe, method=searched)


def with_towers_of(config: RunConfig) -> RunConfig:
    """Return a configuration whose space has only those towers that its method has lengths in.

    Raises
    ------
    ConfigError
        As :func:`searched_method`.
    SpaceError
        If no tower is left, or a limit cannot be met by those that are.
    """
    if config.method is None:
        return config
    space = searched_method(config.method).space_of(config.space)
    return config.model_copy(update={"space": space})
