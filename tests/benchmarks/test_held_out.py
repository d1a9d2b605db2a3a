"""``python -m benchmarks.held_out``: a row of small searches, and what its table says."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.held_out import main
from benchmarks.searches import table


@pytest.mark.slow
def test_what_ships_is_tested_once_for_a_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path), "--tasks", "mini/digits", "--seeds", "1", "--shots", "2"]
    arguments += ["--budget", "3-trials", "--variants", "manual", "4 everywhere", "--"]
    arguments += ["train.epochs=1"]
    main(arguments)
    first = capsys.readouterr()
    assert "mini/digits 1: manual, 4 everywhere" in first.err
    lines = first.out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| manual", "| 4 everywhere"]
    assert " | 96 | " in lines[3]
    main(arguments)
    again = capsys.readouterr()
    assert (again.err, again.out) == ("", first.out)
    file = tmp_path / "mini_clip_budget12.json"
    assert json.loads(file.read_text())["commit"] in first.out
    file.write_text('{"commit": "0123456789abcdef"}')
    with pytest.raises(SystemExit, match="is of commit 0123456789ab"):
        main(arguments)


def test_the_unit_of_the_table_is_the_task() -> None:
    def row(one: float, other: float) -> dict[str, Any]:
        return {
            name: {"vectors": 12, "accuracy": dict.fromkeys(("1.0", "0.5", "2.0"), accuracy)}
            for name, accuracy in (("darts", one), ("manual", other))
        }

    # Ahead by 1, 2 and 3 points in the tasks, however many seeds each has.
    rows = {"a 1": row(0.5, 0.48), "a 2": row(0.5, 0.5), "b 1": row(0.6, 0.58)}
    rows |= {"c 1": row(0.7, 0.67), "c 2": row(0.71, 0.68), "c 3": row(0.7, 0.67)}
    heads, _, first, second = table(rows, ["darts", "manual"])
    assert heads.startswith("| variant | a | b | c | mean | vectors | darts is ahead |")
    assert first.startswith("| darts | 50.0 | 60.0 | 70.3 | 60.1 | 12 |")
    # scipy's t test of (1, 2, 3), and its interval.
    assert "| +2.0 ± 2.5 | " in second
    assert " | 0.074 | +2.0 ± 2.5 | +2.0 ± 2.5 |" in second
