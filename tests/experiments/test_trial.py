import json
from pathlib import Path
from typing import Any

import nni
import pytest

from dpl_nas.engine import StopReason
from dpl_nas.experiments import trial
from dpl_nas.runs.result import RunResult, TestResult
from dpl_nas.strategy.result import SearchSummary

FOUND = {"image": (0, 4), "text": (6, 1)}
TESTS = {"found": (0.5, 0.4), "manual": (0.45, 0.35), "zero_shot": (0.2, 0.1)}
RESULT = RunResult(
    task="mini/relation",
    space="small",
    strategy="darts",
    shots=4,
    seed=1,
    lengths=FOUND,
    vectors=11,
    test={
        name: TestResult(accuracy=accuracy, macro_f1=macro_f1, images=10, lengths=FOUND)
        for name, (accuracy, macro_f1) in TESTS.items()
    },
    validation_accuracy=0.5,
    search=SearchSummary(
        stopped_by=StopReason.EPOCHS,
        validation_accuracy=0.5,
        labels_seen=8,
        evaluations=0,
        failures=0,
        steps=1,
        images=1,
        trial_steps=1,
    ),
    seconds={},
)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the trial tells NNI, which here gives no parameters."""
    told: dict[str, list[Any]] = {"intermediate": [], "final": []}
    monkeypatch.setattr(nni, "report_intermediate_result", told["intermediate"].append)
    monkeypatch.setattr(nni, "report_final_result", told["final"].append)
    monkeypatch.setattr(nni, "get_next_parameter", dict)
    return told


def test_final_result_has_the_lengths_beside_the_accuracy() -> None:
    final = trial.final_result(RESULT, {"task": "mini/relation", "search.epochs": 3})
    assert final == {
        "default": 0.5,
        "macro_f1": 0.4,
        "manual": 0.45,
        "zero_shot": 0.2,
        "lengths": "image 0 4 | text 6 1",
        "parameters": "search.epochs=3 task=mini/relation",
    }
    assert json.loads(json.dumps(final)) == final


def test_only_epochs_of_the_search_are_intermediate(reported: dict[str, list[Any]]) -> None:
    observer = trial.TrialObserver()
    observer.begin("search", 2)
    observer.advance("search", 1, {"validation_accuracy": 0.25, "loss": 1.0}, "image 0")
    observer.end("search")
    observer.advance("train found", 1, {"loss": 1.0, "validation_accuracy": 0.9})
    assert reported["intermediate"] == [0.25]


def test_parameters_of_nni_replace_options(
    reported: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def run(config: Any, folder: Path, *, observer: Any) -> RunResult:
        seen.update(config=config, folder=folder)
        observer.advance("search", 1, {"validation_accuracy": 0.25})
        return RESULT

    monkeypatch.setattr("dpl_nas.runs.run", run)
    parameters = {"task": "mini/relation", "seed": 7, "search.epochs": 3, "search.alphas.lr": 0.5}
    monkeypatch.setattr(nni, "get_next_parameter", parameters.copy)
    code = trial.main(
        ["--task", "mini/digits", "train.epochs=2", "--seed", "1", "--out", f"{tmp_path}/{{trial}}"]
    )
    assert code == 0
    config = seen["config"]
    assert (config.task, config.seed) == ("mini/relation", 7)
    assert config.strategy.search.epochs == 3
    assert config.strategy.search.alphas.lr == 0.5
    assert config.strategy.train.epochs == 2
    assert seen["folder"] == tmp_path / str(nni.get_trial_id())
    assert reported["intermediate"] == [0.25]
    assert reported["final"] == [trial.final_result(RESULT, parameters)]


def test_bad_input_fails_the_trial_with_its_sentence(
    reported: dict[str, list[Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert trial.main(["--space", "nope", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: unknown space 'nope'")
    assert not reported["final"]


def test_runs_go_to_the_folder_of_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNI_OUTPUT_DIR", "/somewhere/trial")
    assert trial._folder(None) == Path("/somewhere/trial/run")
    assert trial._folder("a/{experiment}-b") == Path(f"a/{nni.get_experiment_id()}-b")
