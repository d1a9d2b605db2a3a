"""``python -m benchmarks.gpu``: it runs on a CPU with tiny sizes, and keeps to its time."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu import main

TINY = ["--device", "cpu", "--models", "mini_clip", "--classes", "10", "--repeats", "1"]
COLUMNS = "| model | phase | classes | products in |"


@pytest.mark.slow
def test_everything_runs_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    tests = str(Path(__file__).parents[1] / "kernels" / "test_attention.py")
    main(
        [*TINY, "--trials", "mini_clip", "--stacks", "1", "2", "--tests", tests, "--out", str(out)]
    )
    found = json.loads(out.read_text())
    assert found["machine"]["device"] == "CPU"
    assert found["tests"]["code"] in (0, 5)  # 5: none were run
    assert found["tests"]["failed"] == []
    assert [row["side_by_side"] for row in found["trials"]] == [1, 2]
    assert found["trials"][0]["times_faster"] == 1
    steps = found["steps"]
    assert len(steps) == 9
    for row in steps:
        assert row["ratio"] == pytest.approx(row["published_s"] / row["ours_s"])
        # On a CPU, TF32 is float32.
        assert row["difference"] < (0.1 if row["mode"] == "bf16" else 1e-5)
    assert found["left_out"] == []
    printed = capsys.readouterr().out
    assert COLUMNS in printed
    assert printed.count("| mini_clip |") == 11


def test_what_there_is_no_time_for_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    main([*TINY, "--modes", "fp32", "--seconds", "0", "--out", str(out)])
    found = json.loads(out.read_text())
    assert found["steps"] == []
    assert found["left_out"][0] == "tests"
    assert "left out: mini_clip,train,10,6 in fp32" in capsys.readouterr().out
