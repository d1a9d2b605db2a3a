"""Subcommands that work, on real parts."""

import json
import signal
import time
from pathlib import Path

import pytest

from dpl_nas.io.files import read_json


def timeless(result: dict) -> dict:
    return {key: value for key, value in result.items() if key != "seconds"}


def test_run_and_what_it_leaves(call, quick: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = call("run", *quick, "--out", out, "--json")
    assert first.code == 0, first.err
    assert first.json == read_json(out / "result.json")
    assert "search: 2/2" in first.err
    for picture in ("architecture.png", "alphas.png"):
        assert (out / picture).stat().st_size > 10_000

    # The run is finished, so --resume only says so again.
    again = call("run", *quick, "--out", out, "--resume", "--json", "--quiet")
    assert (again.json, again.err) == (first.json, "")

    refused = call("run", *quick, "--out", out)
    assert refused.code == 2
    assert "--resume" in refused.err

    shown = call("run", *quick, "--out", out, "--resume")
    for text in ("found", "4 everywhere", "zero-shot", "architecture.png", str(out)):
        assert text in shown.out

    afresh = call("run", *quick, "--out", out, "--overwrite", "--json", "--quiet")
    assert timeless(afresh.json) == timeless(first.json)

    tested = call("evaluate", out, "--json", "--quiet")
    assert tested.json["test"]["found"] == first.json["test"]["found"]
    assert "macro-F1" in call("evaluate", out / "prompts.safetensors").out


def test_search_then_train(call, quick: list[str], tmp_path: Path) -> None:
    found = call("search", *quick, "--out", tmp_path / "search", "--json")
    assert found.code == 0, found.err
    trained = call(
        *("train", *quick, "--out", tmp_path / "train", "--json"),
        *("--architecture", tmp_path / "search"),
    )
    assert trained.code == 0, trained.err
    assert trained.json["lengths"] == found.json["lengths"]
    assert (tmp_path / "train" / "prompts.safetensors").exists()


def test_train_the_manual_design(call, quick: list[str], tmp_path: Path) -> None:
    outcome = call("train", *quick, "--out", tmp_path / "train", "--length", "2")
    assert outcome.code == 0, outcome.err
    assert "image  2 2 2" in outcome.out


def test_pretrain_a_few_steps(call, tmp_path: Path) -> None:
    settings = ("steps=2", "batch_size=8", "evaluate_every=2", "save_every=1")
    outcome = call("mini", "pretrain", "--out", tmp_path, *settings, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["settings"]["steps"] == 2
    assert "pre-train: 2/2" in outcome.err
    gates = call("mini", "gates", "--weights", outcome.json["weights"], "--images", "32", "--json")
    assert gates.code == 1
    assert gates.json["passed"] is False
    assert set(gates.json["gates"]) <= set(gates.json["accuracies"])


@pytest.mark.slow
def test_interrupted_and_resumed(program, quick: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick[quick.index("search.epochs=2")] = "search.epochs=15"
    going = program("run", *quick, "--out", out, "--json")
    deadline = time.monotonic() + 120
    while not (out / "search.state").exists() and time.monotonic() < deadline:
        assert going.poll() is None, going.communicate()
        time.sleep(0.05)
    going.send_signal(signal.SIGINT)
    stdout, stderr = going.communicate(timeout=60)
    assert going.returncode == 130, stderr
    assert stdout == ""
    assert f"interrupted; give the same command with --resume to go on with {out}" in stderr
    assert "Traceback" not in stderr

    resumed = program("run", *quick, "--out", out, "--json", "--resume")
    stdout, stderr = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, stderr
    assert "goes on after" in stderr
    # One JSON object, whatever NNI, Lightning and torch had to say.
    assert json.loads(stdout) == read_json(out / "result.json")
    assert "Warning" not in stderr


def test_the_half_of_the_classes_is_in_the_row(call, quick: list[str], tmp_path: Path) -> None:
    trained = call("train", *quick, "--out", tmp_path / "run", "--length", "1", "classes=base")
    assert trained.code == 0, trained.err
    assert " (base, 2 classes)  " in call("evaluate", tmp_path / "run", "--quiet").out
    assert "classes)" not in call("evaluate", tmp_path / "run", "--classes", "all").out
