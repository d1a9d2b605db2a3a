"""Experiments whose trials ended, turned into run folders."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpl_nas import runs
from dpl_nas.config import RunConfig
from dpl_nas.errors import DplError, ExperimentError, OutputError
from dpl_nas.experiments.experiment import Experiment, ExperimentTrial
from dpl_nas.experiments.export import export
from dpl_nas.nni.search_space import nni_search_space
from dpl_nas.observer import Observer
from dpl_nas.runs.result import RunResult, read_record
from dpl_nas.space import Space, load_architecture

LENGTHS = ("image 0 2 | text 1 0", "image 4 0 | text 1 2", "image 2 2 | text 0 0")


def ended(name: str, accuracy: float, loss: float, lengths: str, **images: str) -> ExperimentTrial:
    """A trial with the result that ours report, perhaps with that of single images."""
    result = {
        "default": accuracy,
        "loss": loss,
        "vectors": 0,
        "lengths": lengths,
        "validation_images": 9,
        "epochs": 2,
        "steps": 4,
        "images": 18,
        "seconds": 1.5,
        "peak_bytes": 1000,
        **images,
    }
    return ExperimentTrial(name, "SUCCEEDED", 1.0, result)


@pytest.fixture
def experiment(small_space: Space, image_folder: Path, tmp_path: Path) -> Experiment:
    code = tmp_path / "code"
    code.mkdir()
    (code / "task").symlink_to(image_folder)
    space = small_space.model_dump(mode="json", exclude={"name"})
    (code / "small.yml").write_text(yaml.safe_dump(space))
    return Experiment(
        id="abc123",
        status="DONE",
        settings={
            "searchSpace": nni_search_space(small_space),
            # Paths are where the trials start.
            "trialCommand": "python -m dpl_nas.experiments.trial --task ./task --space ./small.yml "
            "--strategy evolution --shots 6 --seed 2 train.epochs=2 train.batch_size=6",
            "trialCodeDirectory": str(code),
            "trialConcurrency": 2,
            "maxTrialNumber": 4,
            "tuner": {"name": "Evolution"},
        },
        seconds=12.0,
        trials=(
            ended("a", 0.5, 0.9, LENGTHS[0]),
            ended("b", 0.75, 0.9, LENGTHS[1]),
            ended("c", 0.75, 0.8, LENGTHS[2]),
            ExperimentTrial("d", "FAILED", 2.0),
        ),
    )


def changed(experiment: Experiment, **settings: Any) -> Experiment:
    return Experiment(
        experiment.id,
        experiment.status,
        {**experiment.settings, **settings},
        experiment.seconds,
        experiment.trials,
    )


def test_the_best_by_validation_is_trained_and_tested(
    experiment: Experiment, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = export(experiment, out)
    assert read_record(out / "result.json", RunResult, "remove it") == result
    # Of two with the same accuracy, the one with less loss.
    assert result.lengths == {"image": (2, 2), "text": (0, 0)}
    assert load_architecture(out / "architecture.json").describe() == LENGTHS[2]
    assert result.validation_accuracy == 0.75
    assert result.seconds["search"] == 12.0
    assert set(result.test) == {"found", "manual", "zero_shot"}
    search = result.search
    assert (search.evaluations, search.stopped_by, search.steps) == (3, "trials", 12)
    assert search.labels_seen == 18
    assert search.nni == {"experiment": "abc123", "tuner": {"name": "Evolution"}, "failed": 1}
    listed = json.loads((out / "evaluations.json").read_text())
    assert [each["number"] for each in listed["ranking"]] == [2, 1, 0]
    assert listed["ranking"][1]["lengths"] == {"image": [4, 0], "text": [1, 2]}
    assert listed["ranking"][0]["spent_steps"] == 12
    assert listed["others"] == []
    config = RunConfig.model_validate(yaml.safe_load((out / "config.yml").read_text()))
    assert (config.shots, config.seed, config.jobs) == (6, 2, 2)
    assert config.strategy.train.epochs == 2
    assert config.budget is not None
    assert config.budget.trials == 4


def of_images(name: str, right: str, losses: str, lengths: str) -> ExperimentTrial:
    """A trial of which the result for each image is known."""
    values = list(map(float, losses.split()))
    return ended(
        name,
        right.count("1") / len(right),
        sum(values) / len(values),
        lengths,
        right=right,
        losses=losses,
    )


def test_near_ties_go_to_the_usual_design(experiment: Experiment, tmp_path: Path) -> None:
    """As a strategy decides: the best must be ahead of it on the same images."""
    usual = "image 2 2 | text 2 2"
    trials = (
        of_images("a", "111110000", "0.1 0.1 0.1 0.1 0.1 1 1 1 1", usual),
        of_images("b", "111101010", "0.1 0.1 0.1 0.1 1 0.1 1 0.1 1", LENGTHS[0]),
    )
    near = Experiment(**{**vars(experiment), "trials": trials})
    for margin, chosen in (("0", LENGTHS[0]), ("1", usual)):
        command = f"{experiment.settings['trialCommand']} search.margin={margin}"
        out = tmp_path / margin
        result = export(changed(near, trialCommand=command), out)
        assert load_architecture(out / "architecture.json").describe() == chosen
        compared = result.search.compared
        assert compared is not None
        assert compared.ahead == pytest.approx(0 if margin == "1" else 1 / 9)
    # Nothing of single images is known of trials of older versions: the best is taken.
    older = tuple(
        ended(each.id, each.result["default"], each.result["loss"], each.result["lengths"])
        for each in trials
    )
    result = export(
        Experiment(**{**vars(changed(near, trialCommand=command)), "trials": older}), tmp_path / "o"
    )
    assert load_architecture(tmp_path / "o" / "architecture.json").describe() == LENGTHS[0]
    assert result.search.compared is None


def test_it_is_a_run_like_any_other(experiment: Experiment, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = export(experiment, out)
    tested = runs.evaluate(out / "prompts.safetensors")
    assert tested.test["found"] == result.test["found"]
    with pytest.raises(OutputError, match="go on with --resume, remove the run with --overwrite"):
        export(experiment, out)
    assert export(experiment, out, resume=True) == result
    again = export(experiment, out, overwrite=True)
    assert again.test == result.test


class KilledError(Exception):
    pass


class KillInTraining(Observer):
    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        if stage == "train found":
            raise KilledError


def test_an_interrupted_export_goes_on_with_its_choice(
    experiment: Experiment, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(KilledError):
        export(experiment, out, observer=KillInTraining())
    assert not (out / "result.json").exists()
    # The experiment went on, and found something better.
    better = Experiment(
        **{**vars(experiment), "trials": (*experiment.trials, ended("e", 1.0, 0.1, LENGTHS[0]))}
    )
    assert export(better, out, resume=True).lengths == {"image": (2, 2), "text": (0, 0)}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"trialCommand": "python train.py"}, "run python -m dpl_nas.*, found 'python train.py'"),
        (
            {"searchSpace": {"seed": {"_type": "choice", "_value": [1, 2]}}},
            "each trial of experiment abc123 is a whole run",
        ),
        (
            {"trialCommand": "python -m dpl_nas.experiments.trial --space mini_clip"},
            "trial a of experiment abc123 does not fit space mini_clip: expected one length",
        ),
        (
            {"trialCommand": "python -m dpl_nas.experiments.trial --space mini_clpi"},
            "unknown space",
        ),
    ],
)
def test_what_cannot_be_exported(
    experiment: Experiment, tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DplError, match=complaint):
        export(changed(experiment, **settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_has_ended_well(experiment: Experiment, tmp_path: Path) -> None:
    for trials, counts in (
        ((), "0 failed, 0 still running"),
        (experiment.trials[3:], "1 failed, 0 still running"),
        ((ExperimentTrial("e", "RUNNING", None),), "0 failed, 1 still running"),
    ):
        nothing = Experiment(**{**vars(experiment), "trials": trials})
        with pytest.raises(
            ExperimentError, match=rf"no trial .*abc123 has ended well \({counts}\)"
        ):
            export(nothing, tmp_path / "run")


@pytest.mark.parametrize(
    "result",
    [
        0.5,
        None,
        {"default": 0.5},
        {"lengths": LENGTHS[0]},
        of_images("e", "10", "1 2", LENGTHS[0]).result,
        ended("e", 0.5, 1.0, LENGTHS[0], right="1x1111111", losses="1 " * 9).result,
    ],
)
def test_results_of_something_else(experiment: Experiment, tmp_path: Path, result: Any) -> None:
    trials = (ExperimentTrial("e", "SUCCEEDED", 1.0, result),)
    with pytest.raises(
        ExperimentError, match=r"trial e .* has a result that this version of dpl_nas cannot read"
    ):
        export(Experiment(**{**vars(experiment), "trials": trials}), tmp_path / "run")
