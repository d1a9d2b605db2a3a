"""Real experiments of architectures: killed and resumed, followed, exported."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dpl_nas.nni.search_space import parse_architecture
from dpl_nas.space import load_space

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
SECONDS = 240


@pytest.fixture
def experiment(experiment_of, mini_weights: Path):
    """dpl_evolution.yml with few and short trials, not created yet."""
    made = experiment_of("dpl_evolution.yml")
    made.settings["trialCommand"] += (
        f" --shots 2 train.epochs=1 space.backbone.pretrained={mini_weights}"
    )
    made.settings["trialCodeDirectory"] = str(REPOSITORY)
    made.settings["maxTrialNumber"] = 5
    # From the third trial on it evolves.
    made.settings["tuner"]["classArgs"]["population_size"] = 2
    return made


def program(experiment, *arguments: Any) -> Any:
    """What ``dpl-nas ... --json`` prints, with the home of the experiment."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dpl-nas")), *map(str, arguments), "--json", "--quiet"],
        env=experiment.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kill_manager(experiment) -> None:
    """NNI's server, and nothing else: its tuner and its trials are left alone."""
    listening = [
        each.pid
        for each in psutil.net_connections("inet")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == experiment.port
    ]
    (manager,) = set(listening)
    assert manager is not None
    process = psutil.Process(manager)
    process.kill()
    # Until it is seen to have ended, NNI takes the experiment for one that is running.
    process.wait(timeout=60)


def counts(experiment) -> dict[str, int]:
    return {
        each["trialJobStatus"]: each["trialJobNumber"] for each in experiment.get("job-statistics")
    }


def results(experiment) -> list[dict[str, Any]]:
    """Final results by trial: one that was killed after its report reports again when resumed."""
    jobs = experiment.get("trial-jobs")
    return [json.loads(json.loads(each["finalMetricData"][0]["data"])) for each in jobs]


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "seconds"}


@pytest.mark.slow
def test_killed_resumed_followed_and_exported(experiment, free_port, tmp_path: Path) -> None:
    experiment.create()
    name = experiment.get("experiment")["id"]
    deadline = time.monotonic() + SECONDS
    while not (counts(experiment).get("SUCCEEDED") and counts(experiment).get("RUNNING")):
        assert time.monotonic() < deadline, counts(experiment)
        time.sleep(0.2)
    kill_manager(experiment)
    # The tuner of the killed manager knocks at the old port for some time yet.
    experiment.port = free_port()
    experiment.control("resume", name, "--port", str(experiment.port))
    assert experiment.servers() == {experiment.port: {"127.0.0.1"}}
    seen = program(experiment, "nni", "watch", name, "--every", 0.5)
    logs = [path.read_text() for path in tmp_path.rglob("trial.stderr")]
    assert seen["status"] == "DONE", logs
    assert seen["trials"] == {"succeeded": 5, "failed": 0, "running": 0, "most": 5}, logs

    space = load_space("mini_clip")
    finals = results(experiment)
    assert len(finals) == 5
    for final in finals:
        architecture = parse_architecture(space, final["lengths"])
        assert architecture.vectors == final["vectors"]
    best = max(finals, key=lambda each: each["default"] - each["loss"])
    assert seen["best"]["lengths"] == best["lengths"]
    assert seen["best"]["validation_accuracy"] == best["default"]

    found = program(experiment, "nni", "export", "--port", experiment.port, "--out", tmp_path / "a")
    assert parse_architecture(space, best["lengths"]).lengths == {
        tower: tuple(lengths) for tower, lengths in found["lengths"].items()
    }
    assert found["validation_accuracy"] == best["default"]
    assert set(found["test"]) == {"found", "manual", "zero_shot"}
    # Once it is stopped, the same from its database.
    experiment.control("stop", "--all")
    again = program(experiment, "nni", "export", name, "--out", tmp_path / "b")
    assert timeless(again) == timeless(found)
    seen["seconds"] = again["seconds"]["search"]
    assert program(experiment, "nni", "watch", name) == seen


@pytest.mark.slow
def test_our_tuner_within_a_budget(experiment) -> None:
    experiment.settings["trialCommand"] += " --space mini_clip_budget12"
    experiment.settings["trialConcurrency"] = 1
    experiment.settings["maxTrialNumber"] = 3
    experiment.settings["tuner"] = {
        "className": "dpl_nas.experiments.tuner.FittingTuner",
        "codeDirectory": str(REPOSITORY),
        "classArgs": {"space": "mini_clip_budget12", "algorithm": "tpe", "startup_trials": 1},
    }
    experiment.create()
    seen = program(experiment, "nni", "watch", "--port", experiment.port, "--every", 0.5)
    assert seen["status"] == "DONE"
    assert seen["trials"]["succeeded"] == 3
    finals = results(experiment)
    assert len(finals) == 3
    assert all(final["vectors"] <= 12 for final in finals)


def test_illegal_lengths_fail_their_trials(experiment, tmp_path: Path) -> None:
    # Over the budget, of which NNI's tuner knows nothing: each trial says so, and fails.
    experiment.settings["trialCommand"] += " --space mini_clip_budget6"
    experiment.settings["tuner"] = {"name": "Random", "classArgs": {"seed": 1}}
    experiment.settings["maxTrialNumber"] = 2
    experiment.create()
    seen = program(experiment, "nni", "watch", "--port", experiment.port, "--every", 0.5)
    assert seen["trials"] == {"succeeded": 0, "failed": 2, "running": 0, "most": 2}
    assert seen["best"] is None
    logs = [path.read_text() for path in tmp_path.rglob("trial.stderr")]
    assert sum("space mini_clip_budget6 allows only 6:" in log for log in logs) == 2


@pytest.mark.slow
def test_watch_ends_when_the_tuner_has_nothing_left(experiment_of, mini_weights: Path) -> None:
    experiment = experiment_of("dpl_random.yml")
    experiment.settings["searchSpace"] = {"image/0": {"_type": "choice", "_value": [0, 2]}}
    space = experiment.home / "tiny.yml"
    space.write_text("towers:\n  image: {layers: [0], lengths: [0, 2]}\n")
    experiment.settings["trialCommand"] = (
        f"python -m dpl_nas.experiments.trial --task mini/digits --space {space} --strategy random "
        f"--shots 2 --seed 1 train.epochs=1 space.backbone.pretrained={mini_weights}"
    )
    experiment.settings["trialCodeDirectory"] = str(REPOSITORY)
    experiment.settings["tuner"] = {"name": "GridSearch"}
    # NNI waits for ever for the other four.
    experiment.settings["maxTrialNumber"] = 6
    experiment.create()
    told = program(experiment, "nni", "watch", "--port", experiment.port)
    assert told["status"] == "TUNER_NO_MORE_TRIAL"
    assert told["trials"] == {"succeeded": 2, "failed": 0, "running": 0, "most": 6}
