"""``python -m benchmarks.mini_tasks``: which gates are missed, and how a row is shown."""

import json
from pathlib import Path

import pytest

from benchmarks import mini_tasks

ROW = {
    "columns": {
        "chance": [0.1],
        "zero-shot": [0.3],
        "linear probe": [0.5, 0.6],
        "text": [0.35, 0.35],
        "image": [0.45, 0.41],
        "both": [0.2, 0.3],
    },
    "separation": {"worst": 0.2, "best": 0.4, "ratio": 2.5, "passed": True},
}


def test_gates() -> None:
    assert mini_tasks.missed(ROW) == []
    columns = {**ROW["columns"], "zero-shot": [0.19], "linear probe": [0.2]}  # type: ignore[dict-item]
    assert mini_tasks.missed({**ROW, "columns": columns}) == ["zero-shot", "probe"]
    columns = {**ROW["columns"], "zero-shot": [0.34]}  # type: ignore[dict-item]
    apart = {**ROW["separation"], "passed": False}  # type: ignore[dict-item]
    found = mini_tasks.missed({"columns": columns, "separation": apart})
    assert found == ["contexts", "placements"]


def test_what_is_measured_is_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "row.json").write_text(json.dumps(ROW))
    mini_tasks.main(["--out", str(tmp_path), "--tasks", "digits"])
    printed = capsys.readouterr().out
    assert "| digits | 10.0 | 30.0 | 55.0 ± 63.5 | 35.0 | 43.0 ± 25.4 | 25.0 ± 63.5 |" in printed
    assert "| 20.0 to 40.0 | 2.5 | reached |" in printed
