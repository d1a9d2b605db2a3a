"""``python -m benchmarks.search``: all ways search, and find the same."""

import json

import pytest

from benchmarks.search import main


def test_all_ways(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--strategies", "random", "--shots", "2", "--trials", "3", "--epochs", "1"]
    main([*tiny, "--repeats", "1", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["trials"] == 3
    assert row["same"]
    assert row["difference"] < 1e-5
    assert row["ratio"] == pytest.approx(row["whole_s"] / row["side_by_side_s"])
