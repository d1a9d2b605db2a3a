from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.config import DartsSettings, RunConfig
from dpl_nas.engine import StopReason
from dpl_nas.io.files import write_json
from dpl_nas.runs.notes import result_notes
from dpl_nas.space import Architecture
from dpl_nas.strategy.collapse import Collapse
from dpl_nas.strategy.compared import Compared
from dpl_nas.strategy.result import EpochRecord, SearchSummary, write_records
from dpl_nas.training.problem import Problem

SUMMARY = SearchSummary(
    stopped_by=StopReason.TRIALS,
    validation_accuracy=None,
    **dict.fromkeys(("labels_seen", "evaluations", "failures", "steps", "images"), 1),
    trial_steps=1,
)


@pytest.fixture
def problem(run_config: RunConfig) -> Problem:
    return Problem.of_run(run_config)


def trials(folder: Path, accuracies: Mapping[float, Architecture]) -> None:
    folder.mkdir(exist_ok=True)
    ranking: list[dict[str, Any]] = [
        {"lengths": each.plain_lengths(), "accuracy": accuracy, "loss": 1.0}
        for accuracy, each in accuracies.items()
    ]
    write_json(folder / "evaluations.json", {"ranking": ranking})


def test_a_manual_design_that_validated_better(
    run_config: RunConfig, problem: Problem, tmp_path: Path
) -> None:
    found, manual = run_config.space.uniform(2), run_config.space.uniform(4)
    both = (found, manual)
    assert result_notes(problem, run_config, tmp_path, *both) == ()
    trials(tmp_path, {0.5: found})
    assert result_notes(problem, run_config, tmp_path, *both) == ()
    trials(tmp_path / "manual", {0.75: manual})
    (told,) = result_notes(problem, run_config, tmp_path, *both)
    images = len(problem.task.class_names) * (run_config.shots // 2)
    assert f"than the found lengths (75.0% against 50.0% of {images} images, " in told
    trials(tmp_path / "manual", {0.25: manual})
    assert result_notes(problem, run_config, tmp_path, *both) == ()
    # The search may have tried it itself.
    (tmp_path / "manual" / "evaluations.json").unlink()
    trials(tmp_path, {0.6: manual, 0.5: found})
    (told,) = result_notes(problem, run_config, tmp_path, *both)
    assert "60.0% against 50.0%" in told


def test_manual_designs_that_the_search_began_with(
    run_config: RunConfig, problem: Problem, tmp_path: Path
) -> None:
    compared = Compared(
        design="text all x 1",
        vectors=2,
        designs=3,
        validation_accuracy=0.75,
        ahead=0.05,
        error=0.025,
        log_likelihood_ahead=0.1,
        log_likelihood_error=0.05,
    )
    summary = SUMMARY.model_copy(update={"compared": compared})
    found = run_config.space.uniform(2)
    # Trials that happen to be manual designs are no portfolio.
    assert result_notes(problem, run_config, tmp_path, found, search=summary) == ()
    search = run_config.strategy.search.model_copy(update={"portfolio": 3})
    strategy = run_config.strategy.model_copy(update={"search": search})
    config = run_config.model_copy(update={"strategy": strategy})
    (told,) = result_notes(problem, config, tmp_path, found, search=summary)
    assert "of 3 manual designs that the search tried, text all x 1 validated best (75.0%)" in told
    assert "+5.0 ± 2.5 points" in told


@pytest.mark.parametrize(
    ("epochs", "stopped_by", "told"),
    [
        (-1, StopReason.TRIALS, True),
        (-1, StopReason.STRATEGY, True),
        (-1, StopReason.EARLY_STOP, False),
        (0, StopReason.EPOCHS, False),
        (None, StopReason.TRIALS, False),
    ],
)
def test_fewer_epochs_than_are_set(
    run_config: RunConfig,
    problem: Problem,
    tmp_path: Path,
    epochs: int | None,
    stopped_by: StopReason,
    told: bool,
) -> None:
    settings = run_config.strategy.search
    assert isinstance(settings, DartsSettings)
    done = None if epochs is None else settings.epochs + epochs
    record = SUMMARY.model_copy(update={"stopped_by": stopped_by, "epochs": done})
    space = run_config.space
    notes = result_notes(problem, run_config, tmp_path, space.uniform(2), search=record)
    sentence = f"trained for {done} of the {settings.epochs} epochs of search.epochs"
    assert [sentence in each for each in notes] == ([True] if told else [])


def test_found_lengths_that_are_not_the_likeliest(
    run_config: RunConfig, problem: Problem, tmp_path: Path
) -> None:
    space = run_config.space
    likely, found = space.uniform(4), space.uniform(2)
    record = EpochRecord(
        **dict.fromkeys(("train_loss", "validation_loss", "validation_accuracy"), 1.0),
        **dict.fromkeys(("supernet_accuracy", "mean_entropy"), 1.0),
        epoch=1,
        entropy={},
        choice={f"{tower}/{layer}": length for tower, layer, length in likely.items()},
        ties=[],
        alpha={},
    )
    write_records(tmp_path / "alphas.jsonl", [record])
    assert result_notes(problem, run_config, tmp_path, likely) == ()
    (told,) = result_notes(problem, run_config, tmp_path, found)
    different = sum(a != b for a, b in zip(likely.items(), found.items(), strict=True))
    assert told.startswith(f"at {different} of 4 layers the found length is not the one")


def test_alphas_that_collapsed(run_config: RunConfig, problem: Problem, tmp_path: Path) -> None:
    found = run_config.space.uniform(2)
    for share, told in ((0.5, ()), (0.99, ("undecided", "not layers", "still tied"))):
        collapse = Collapse(entropy=share, length_alone=share, start=share - 0.1)
        summary = SUMMARY.model_copy(update={"collapse": collapse})
        notes = result_notes(problem, run_config, tmp_path, found, search=summary)
        assert [word in note for word, note in zip(told, notes, strict=True)] == [True] * len(told)
