import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from dpl_nas.backbone import Backbone
from dpl_nas.config import SearchSettings
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.space import Space
from dpl_nas.tasks import few_shot_split, load_task
from dpl_nas.training.problem import Problem


@pytest.fixture
def problem(small_space: Space, small_backbone: Backbone, image_folder: Path) -> Problem:
    return Problem.of(small_space, load_task(image_folder), shots=4, backbone=small_backbone)


def test_it_keeps_the_backbone_that_it_was_given(
    problem: Problem, small_backbone: Backbone
) -> None:
    assert problem.backbone is small_backbone
    assert problem.fingerprint == small_backbone.fingerprint
    other = problem.having(seed=2)
    assert (other.seed, other.shots) == (2, 4)
    assert other.backbone is small_backbone


def test_images_are_those_of_the_few_shot_protocol(problem: Problem) -> None:
    assert problem.shot_rows == few_shot_split(problem.task, 4, 1).shots
    search = SearchSettings(validation="extra", validation_shots=2)
    assert problem.split(search) == few_shot_split(problem.task, 4, 1, "extra", 2)
    with pytest.raises(TaskError):
        _ = problem.having(shots=1).split(SearchSettings())


def test_the_weights_do_not_travel_and_must_be_the_same() -> None:
    from dpl_nas.space import load_space

    problem = Problem.of(load_space("mini_clip"), load_task("mini/digits"))
    text = pickle.dumps(replace(problem, task=None))  # type: ignore[arg-type]
    assert len(text) < 10_000
    moved = pickle.loads(text)  # noqa: S301 - our own
    assert moved.backbone is not problem.backbone
    assert moved.backbone.fingerprint == problem.fingerprint
    with pytest.raises(ConfigError, match="not those that the search began with"):
        _ = replace(problem, fingerprint="0" * 16).backbone
