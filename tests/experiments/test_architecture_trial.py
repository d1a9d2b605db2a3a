"""Trials of one architecture, in this process and without an experiment."""

import shutil
from pathlib import Path
from typing import Any

import nni
import pytest
import yaml

from dpl_nas.experiments import trial
from dpl_nas.space import Space

LENGTHS = {"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the trial tells NNI."""
    heard: dict[str, list[Any]] = {"intermediate": [], "final": []}
    monkeypatch.setattr(nni, "report_intermediate_result", heard["intermediate"].append)
    monkeypatch.setattr(nni, "report_final_result", heard["final"].append)
    return heard


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """NNI's parameters."""
    parameters: dict[str, Any] = dict(LENGTHS)
    monkeypatch.setattr(nni, "get_next_parameter", lambda: parameters)
    return parameters


@pytest.fixture
def command(small_space: Space, image_folder: Path, tmp_path: Path) -> list[str]:
    """A command of trials of two epochs, on a task whose test images cannot be read."""
    task = tmp_path / "task"
    shutil.copytree(image_folder, task)
    for image in (task / "test").rglob("*.png"):
        image.write_bytes(b"no image")
    file = tmp_path / "small.yml"
    file.write_text(yaml.safe_dump(small_space.model_dump(mode="json", exclude={"name"})))
    return [
        *("--task", str(task), "--space", str(file), "--strategy", "random", "--shots", "6"),
        *("--seed", "2", "train.epochs=4", "search.trial_share=0.5", "train.batch_size=6"),
    ]


def test_validates_and_looks_at_no_test_image(
    told: dict[str, list[Any]], given: dict[str, Any], command: list[str]
) -> None:
    assert trial.main(command) == 0
    (final,) = told["final"]
    # 3 classes of 6 shots, half of them for validation.
    assert final["validation_images"] == 9
    assert final["default"] * 9 == pytest.approx(round(final["default"] * 9))
    assert final["loss"] > 0
    # As strategies do, an export compares trials image by image.
    assert final["right"].count("1") == round(final["default"] * 9)
    losses = list(map(float, final["losses"].split()))
    assert (len(final["right"]), len(losses)) == (9, 9)
    assert sum(losses) / 9 == pytest.approx(final["loss"])
    assert (final["vectors"], final["lengths"]) == (7, "image 4 0 | text 1 2")
    assert (final["epochs"], final["steps"], final["images"]) == (2, 4, 18)
    assert final["peak_bytes"] > 0
    assert [set(each) for each in told["intermediate"]] == [{"default", "loss"}] * 2
    assert all(0 <= each["default"] <= 1 for each in told["intermediate"])


def test_the_same_again_and_other_lengths(
    told: dict[str, list[Any]], given: dict[str, Any], command: list[str]
) -> None:
    assert trial.main(command) == 0
    given.update({label: str(length) for label, length in LENGTHS.items()})
    assert trial.main(command) == 0
    given["image/0"] = 0
    assert trial.main(command) == 0
    first, again, other = (each["loss"] for each in told["final"])
    assert first == again
    assert first != other


def test_no_context_at_all(
    told: dict[str, list[Any]], given: dict[str, Any], command: list[str]
) -> None:
    given.update(dict.fromkeys(LENGTHS, 0))
    assert trial.main(command) == 0
    assert told["intermediate"] == []
    assert told["final"][0]["vectors"] == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image/0": 3}, "image/0 has length 3"),
        ({"image/0": "many"}, "expected a context length for image/0, found 'many'"),
        ({"image/7": 0}, "missing or unknown: image/7"),
        ({"train.epochs": 3}, "missing or unknown: train.epochs"),
    ],
)
def test_illegal_lengths(
    told: dict[str, list[Any]],
    given: dict[str, Any],
    command: list[str],
    change: dict[str, Any],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given.update(change)
    assert trial.main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line
    assert not told["final"]


def test_lengths_over_the_budget(
    told: dict[str, list[Any]],
    given: dict[str, Any],
    command: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trial.main([*command, "space.max_context_vectors=6"]) == 2
    assert "costs 7 context vectors, but space small allows only 6" in capsys.readouterr().err
    assert not told["final"]
