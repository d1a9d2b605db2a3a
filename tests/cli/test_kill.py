"""kill -9 of a real process, then --resume: the same result as if nothing had happened."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Program = Callable[..., "subprocess.Popen[str]"]


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    result: dict[str, Any] = json.loads(stdout)
    return result


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "seconds"}


@pytest.fixture
def long(quick: list[str]) -> list[str]:
    """The same options with enough epochs to be killed among them."""
    settings = {"search.epochs=2": "search.epochs=12", "train.epochs=2": "train.epochs=12"}
    return [settings.get(option, option) for option in quick]


def test_killed_in_search_and_in_training(
    program: Program, long: list[str], tmp_path: Path
) -> None:
    whole = finish(program("run", *long, "--out", tmp_path / "whole", "--json", "--quiet"))
    out = tmp_path / "killed"
    resume: list[str] = []
    for state in ("search.state", "train.state", "manual/train.state"):
        process = program("run", *long, "--out", out, "--json", "--quiet", *resume)
        deadline = time.monotonic() + 120
        while not (out / state).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert not (out / "result.json").exists()
        resume = ["--resume"]
    resumed = finish(program("run", *long, "--out", out, "--json", "--quiet", "--resume"))
    assert timeless(resumed) == timeless(whole)
    # Every epoch once, although the search was gone on with.
    assert (out / "alphas.jsonl").read_text() == (tmp_path / "whole/alphas.jsonl").read_text()
