"""``python -m benchmarks.choice``: rules on a bank that is known, and a row of a small search."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.choice import RULES, main, table

#: The second did best by luck; the third is a manual design.
ROW = {
    "trial": [0.4, 0.9, 0.5],
    "manual": [0.0, 0.0, 1.0],
    "vectors": [3.0, 9.0, 6.0],
    "process": [0.6, 0.5, 0.4],
    "other half": [0.2, -0.5, 0.4],
    "whole": [0.1, 0.2, 0.3],
    "whole other half": [0.9, 0.2, 0.3],
    "usual": [0.0, 0.0, 1.0],
    "ahead": [-0.3, -0.5, 0.0],
    "ahead error": [0.1, 0.1, 0.0],
    "truth": [0.75, 0.25, 0.5],
}


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("trial", 1),
        ("Gaussian process", 0),
        ("trial and other half", 2),
        ("whole training on both halves", 0),
        ("best manual design by its trial", 2),
        ("the best, known afterwards", 0),
    ],
)
def test_rules_choose_by_what_they_say(rule: str, chosen: int) -> None:
    assert int(np.argmax(RULES[rule](ROW))) == chosen


def test_the_usual_design_stands_unless_the_best_is_clearly_ahead() -> None:
    row = {**ROW, "other half": [0.8, -0.5, 0.4], "ahead": [0.3, -0.5, 0.0]}
    row["ahead error"] = [0.2, 0.1, 0.0]
    chosen = {
        rule: int(np.argmax(RULES[rule](row)))
        for rule in ("the usual design unless 1 SE behind", "the usual design unless 2 SE behind")
    }
    assert list(chosen.values()) == [0, 2]
    assert int(np.argmax(RULES["the usual design"](row))) == 2


def test_a_line_has_the_truth_of_the_choice() -> None:
    lines = list(table({"mini/mirror 1": ROW, "mini/mirror 2": ROW}))
    assert lines[0] == "| rule | mini/mirror | mean | vectors |"
    assert lines[2] == "| trial | 25.0 | 25.0 | 9 |"


@pytest.mark.slow
def test_a_search_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path / "out"), "--searched", str(tmp_path / "searched")]
    arguments += ["--tasks", "mini/mirror", "--seeds", "1", "--shots", "2"]
    arguments += ["--budget", "10-trials", "--", "train.epochs=1", "search.epochs=1"]
    main(arguments)
    first = capsys.readouterr()
    assert "mini/mirror 1" in first.err
    main(arguments)
    again = capsys.readouterr()
    assert (again.err, again.out) == ("", first.out)
