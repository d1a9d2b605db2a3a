"""``dpl-nas bench`` as a process: tables, kill -9, and input that is refused."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call

Program = Callable[..., "subprocess.Popen[str]"]


def options(images: Path, out: Path) -> list[str]:
    own = ["zero-shot", "ivlp", "--recipe", "problem", "train.epochs=6", "train.batch_size=2"]
    return [*own, "--task", str(images), "--shots", "4", "--seeds", "1", "--out", str(out)]


def timeless(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    measured = {"seconds", "peak_bytes"}
    return [{key: each[key] for key in each if key not in measured} for each in cells]


@pytest.mark.slow
def test_a_killed_bench_goes_on(program: Program, image_folder: Path, tmp_path: Path) -> None:
    whole = program("bench", *options(image_folder, tmp_path / "whole"), "--json", "--quiet")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    expected = json.loads(out)["cells"]
    assert [each["error"] for each in expected] == [None, None]

    state = tmp_path / "out" / "cells"
    first = program("bench", *options(image_folder, tmp_path / "out"), "--quiet")
    deadline = time.monotonic() + 200
    while not list(state.rglob("training.state")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.communicate()
    assert not (tmp_path / "out" / "results.md").exists()

    again = program("bench", *options(image_folder, tmp_path / "out"), "--published")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert "zero-shot" in out
    assert f"report {tmp_path / 'out' / 'report.html'}" in out
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert timeless(found["cells"]) == timeless(expected)
    assert found["command"].startswith("dpl-nas bench zero-shot ivlp")
    table = (tmp_path / "out" / "results.md").read_text()
    assert "65.36 (README of HealthX-Lab/CLIP-SVD)" in table
    assert "not measured here" in table


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["tip"], "unknown method 'tip'"),
        (["coop.lenght=3"], "expected METHOD.KEY=VALUE of a method that is given"),
        (["ivlp.lenght=3"], "lenght"),
        (["train.epoch=3"], "epoch"),
        (["--shots", "0"], "expected 1 or more, found 0"),
        (["--shots", "few"], "--shots must be different whole numbers of 0 or more"),
        (["--seeds", "1,1"], "--seeds must be different whole numbers"),
        (["--protocol", "cross-dataset"], "give two or more"),
        (["--task", "mini/digit"], "mini/digits"),
        (["--space", "none"], "none"),
        (["--baseline", "coop"], "the baseline coop is not among the methods: choose one of zero"),
    ],
)
def test_bad_input_is_one_sentence(
    changed: list[str], said: str, call: Call, image_folder: Path, tmp_path: Path
) -> None:
    outcome = call("bench", *options(image_folder, tmp_path / "out"), *changed)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert said in outcome.err
    assert not (tmp_path / "out").exists()


def test_settings_of_methods(call: Call, image_folder: Path, tmp_path: Path) -> None:
    outcome = call(
        "bench",
        *("tip-adapter", "zero-shot", "tip-adapter.views=1", "tip-adapter.weight=0.0"),
        *("--task", image_folder, "--shots", "1", "--seeds", "1"),
        *("--out", tmp_path / "out", "--json", "--quiet", "--baseline", "zero-shot"),
    )
    assert outcome.code == 0, outcome.err
    assert "**Against zero-shot**" in (tmp_path / "out" / "results.md").read_text()
    assert "Against zero-shot" in (tmp_path / "out" / "report.html").read_text()
    adapted, plain = outcome.json["cells"]
    # A cache of weight 0 says nothing.
    assert adapted["accuracy"] == plain["accuracy"]
