"""``python -m benchmarks.classifier``: small fits, and what the table says."""

from pathlib import Path

import pytest

from benchmarks.classifier import main, table


@pytest.mark.slow
def test_fits_are_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path), "--tasks", "mini/mirror", "--seeds", "1"]
    arguments += ["--shots", "2", "--epochs", "1"]
    main(arguments)
    first = capsys.readouterr()
    assert "mini/mirror 1: " in first.err
    lines = first.out.splitlines()
    assert lines[0].startswith("| task | fit | linear probe | 4 everywhere | error without |")
    assert lines[2].startswith("| mini/mirror | ")
    main(arguments)
    assert capsys.readouterr() == (first.out, "")


def test_tasks_are_the_unit() -> None:
    def row(fit: float, probe: float, before: float, after: float) -> dict:
        return {
            "accuracy": {"fit": fit, "linear probe": probe, "4 everywhere": 0.5},
            "error_before": before,
            "error": after,
            "unknown": {"0.05": 0.04, "0.1": 0.1},
            "seconds": 2.0,
        }

    rows = {"a 1": row(0.6, 0.5, 0.2, 0.05), "a 2": row(0.8, 0.7, 0.2, 0.05)}
    rows |= {"b 1": row(0.5, 0.5, 0.4, 0.1)}
    lines = list(table(rows))
    assert lines[2] == "| a | 70.0 | 60.0 | 50.0 | 20.0 | 5.0 | 4.0 | 10.0 | 2.0 |"
    assert lines[4].startswith("| mean | 60.0 | 55.0 | 50.0 | 30.0 | 7.5 |")
    assert lines[6].startswith("The fit is ahead of linear probe by +5.0 ± ")
    assert lines[-1] == "The temperature leaves 25% of the calibration error."
