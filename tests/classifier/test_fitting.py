"""A fit: what is compared, what is kept, and what happens where little is possible."""

from pathlib import Path

import pytest
import torch

from dpl_nas.classifier.fitting import FitSettings, fit, parse_seconds, shots_of
from dpl_nas.config import RunConfig
from dpl_nas.errors import CheckpointError, ConfigError, DplWarning
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.training.problem import Problem


@pytest.fixture
def problem(run_config: RunConfig) -> Problem:
    return Problem.of_run(run_config)


def names(problem: Problem, config: RunConfig, settings: FitSettings) -> list[str]:
    return [each.candidate.name for each in fit(problem, settings, config.strategy).evidence]


def test_all_kinds_are_compared_and_the_best_is_made(
    problem: Problem, run_config: RunConfig
) -> None:
    found = fit(problem, FitSettings(preset="quick"), run_config.strategy)
    tried = {each.candidate.name for each in found.evidence}
    assert {"zero-shot", "linear probe, 0.001", "captions and pictures, 0.001"} <= tried
    assert {"both all x 2", "both all x 2, and pictures"} <= tried
    assert not any(name.startswith("found") for name in tried)
    scores = [each.score for each in found.evidence]
    assert scores == sorted(scores, reverse=True)
    assert found.made.candidate == found.chosen.candidate
    assert found.rows == problem.shot_rows
    # Brightness tells the classes.
    assert found.chosen.accuracy > 0.8
    assert found.judged.candidate == found.chosen.candidate
    assert not torch.equal(found.judged.logits, found.chosen.logits)


def test_a_search_is_one_candidate_more(problem: Problem, run_config: RunConfig) -> None:
    found = fit(problem, FitSettings(), run_config.strategy)
    designs = {e.candidate.architecture for e in found.evidence if "all x" in e.candidate.name}
    searched = [each for each in found.evidence if each.candidate.name.startswith("found")]
    assert len(searched) in {0, 2}
    assert all(each.candidate.architecture not in designs for each in searched)


def test_what_was_compared_is_not_compared_again(
    problem: Problem, run_config: RunConfig, tmp_path: Path
) -> None:
    settings = FitSettings(preset="quick")
    first = fit(problem, settings, run_config.strategy, tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert [file.name for file in kept] == [
        "designs.safetensors",
        "judged.safetensors",
        "plain.safetensors",
    ]
    stamps = [file.stat().st_mtime_ns for file in kept]
    kept[2].unlink()
    again = fit(problem, settings, run_config.strategy, tmp_path)
    assert kept[0].stat().st_mtime_ns == stamps[0]
    assert again.made.candidate == first.made.candidate
    torch.testing.assert_close(again.made.knowledge.head.weights, first.made.knowledge.head.weights)
    with pytest.raises(CheckpointError, match="is of other pictures or settings: use another"):
        fit(problem.having(seed=9), settings, run_config.strategy, tmp_path)
    kept[0].write_bytes(b"\0" * 8)
    with pytest.raises(CheckpointError, match="is damaged: remove it to compare again"):
        fit(problem, settings, run_config.strategy, tmp_path)


def test_time_that_is_up_leaves_the_cheap_ones(problem: Problem, run_config: RunConfig) -> None:
    settings = FitSettings(preset="balanced", time_limit=1e-9)
    with pytest.warns(DplWarning, match="the time is up"):
        tried = names(problem, run_config, settings)
    assert all(name.startswith(("zero", "linear", "captions")) for name in tried)
    with pytest.warns(DplWarning, match="the time is up") as told:
        found = fit(problem, settings, run_config.strategy)
    assert "probabilities are calibrated by halves" in str(told[-1].message)
    assert found.judged is found.chosen


def test_one_shot_is_compared_without_a_search(run_config: RunConfig, problem: Problem) -> None:
    one = problem.having(shots=1)
    with pytest.warns(DplWarning, match="one picture a class is too few to search"):
        tried = names(one, run_config, FitSettings())
    assert not any(name.startswith("found") for name in tried)


def test_classes_that_captions_cannot_tell_apart_have_pictures(
    small_space: Space, image_folder: Path, run_config: RunConfig
) -> None:
    from dataclasses import replace

    task: Task = replace(load_task(image_folder), class_names=("square", "Square", "white"))
    problem = Problem.of(small_space, task, shots=6, recipe=run_config.strategy.train)
    with pytest.warns(DplWarning, match="'square', 'Square' are the same.*only linear probes"):
        found = fit(problem, FitSettings(), run_config.strategy)
    assert all(each.candidate.name.startswith("linear probe") for each in found.evidence)
    assert found.chosen.accuracy > 0.8


def test_shots_are_at_most_what_there_is(image_folder: Path) -> None:
    task = load_task(image_folder)
    assert [shots_of(task, each) for each in (4, 10, 16, "all")] == [4, 10, 10, 10]  # type: ignore[arg-type]
    for wrong in (0, True, 2.0, "many"):
        with pytest.raises(ConfigError, match="shots: expected a whole number"):
            shots_of(task, wrong)  # type: ignore[arg-type]


def test_times() -> None:
    assert parse_seconds(None) is None
    assert [parse_seconds(each) for each in ("90", "90s", "1.5m", "2h", 7)] == [
        90.0,
        90.0,
        90.0,
        7200.0,
        7.0,
    ]
    for wrong in ("0s", "ten", "5 m", "-1", ""):
        with pytest.raises(ConfigError, match="expected a time such as 90s"):
            parse_seconds(wrong)
