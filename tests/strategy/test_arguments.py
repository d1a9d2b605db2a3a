from pathlib import Path
from typing import Any

import pytest

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space
from dpl_nas.strategy.arguments import Wanted, understand
from dpl_nas.training.problem import Problem


@pytest.fixture
def problem(small_space: Space, small_backbone: Backbone, image_folder: Path) -> Problem:
    return Problem.of(small_space, image_folder, shots=4, backbone=small_backbone)


def test_a_problem_goes_through_as_it_is(problem: Problem) -> None:
    found, budget, wanted = understand(problem, "20-trials", jobs=2, folder="runs")
    assert found is problem
    assert budget == SearchBudget(trials=20)
    assert wanted == Wanted(jobs=2, folder=Path("runs"))
    assert understand(problem)[1:] == (None, Wanted())
    assert understand(problem, budget=SearchBudget(steps=9))[1] == SearchBudget(steps=9)


def test_space_and_task_make_a_problem(problem: Problem, image_folder: Path) -> None:
    recipe = TrainSettings(epochs=3)
    options: dict[str, Any] = {"shots": 2, "seed": 5, "train": recipe, "backbone": problem.backbone}
    by_place, budget, _ = understand(problem.space, image_folder, "9-steps", **options)
    by_name, _, _ = understand(space=problem.space, task=image_folder, **options)
    for found in (by_place, by_name):
        assert (found.space, found.task.folder) == (problem.space, problem.task.folder)
        assert (found.shots, found.seed, found.recipe) == (2, 5, recipe)
    assert budget == SearchBudget(steps=9)


@pytest.mark.parametrize(
    ("more", "options", "words"),
    [
        ((3,), {}, "expected a budget such as '20-trials'"),
        (("1-steps", 3), {}, "expected no argument after the budget, found 3"),
        ((), {"jobs": 0}, "jobs should be a whole number of 1 or more, found 0"),
        ((), {"devices": True}, "devices should be a whole number of 1 or more"),
        ((), {"colour": 1}, "unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_not_understood(
    problem: Problem, more: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        understand(problem, *more, **options)


def test_what_is_missing(problem: Problem) -> None:
    with pytest.raises(ConfigError, match="found no task"):
        understand(problem.space)
    with pytest.raises(ConfigError, match="found no space"):
        understand(task="mini/digits")
