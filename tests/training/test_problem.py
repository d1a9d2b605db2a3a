import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dpl_nas.backbone import Backbone
from dpl_nas.config import RunConfig, SearchSettings
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.space import Space
from dpl_nas.tasks import few_shot_split, image_files, load_task, task_digest
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


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(image_folder, tmp_path / "task")
    return tmp_path / "task"


def test_what_is_used_is_checked_once(
    small_space: Space, small_backbone: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(image_files, "check_picture", lambda path: bool(read.append(path)))
    problem = Problem.of(small_space, folder, shots=4, backbone=small_backbone)
    search = SearchSettings(validation="extra", validation_shots=2)
    for _ in range(2):
        problem.check()
        assert len(read) == len(problem.shot_rows)
    for _ in range(2):
        problem.check(search)
        assert len(read) == len(problem.shot_rows) + len(problem.split(search).validation)
    before = len(read)
    for _ in range(2):
        pickle.loads(pickle.dumps(problem)).check(search)  # noqa: S301 - our own
        problem.check(search, test=True)
        assert len(read) == before + len(problem.task.test.labels)


def test_captions_are_checked_before_images(
    small_space: Space, small_backbone: Backbone, folder: Path
) -> None:
    (folder / "task.yml").write_text("template: 'a {}.'\nclass_names: {grey: White}\n")
    problem = Problem.of(small_space, folder, shots=4, backbone=small_backbone)
    for _ in range(2):
        with pytest.raises(TaskError, match="are the same to"):
            problem.check()


def test_a_file_is_read_once_for_all_digests(
    small_space: Space, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem(small_space, load_task(folder), 4)
    few, most = problem.digest([0, 1]), problem.digest()
    assert most == task_digest(problem.task, problem.shot_rows)
    shutil.rmtree(folder / "train")
    assert (problem.digest([0, 1]), problem.digest()) == (few, most)
    with pytest.raises(TaskError):
        problem.digest([each for each in range(20) if each not in problem.shot_rows])


def test_a_run_names_its_problem_without_weights(run_config: RunConfig) -> None:
    problem = Problem.of_run(run_config)
    assert (problem.task.name, problem.shots) == (run_config.task, run_config.shots)
    assert pickle.loads(pickle.dumps(replace(problem, task=None))).fingerprint is None  # noqa: S301
    fingerprint = problem.backbone.fingerprint
    assert pickle.loads(pickle.dumps(problem)).fingerprint == fingerprint  # noqa: S301
