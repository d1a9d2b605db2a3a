"""``python -m benchmarks.class_features``: a small measurement, and its table."""

import pytest

from benchmarks.class_features import main, table


def test_the_table_has_the_mean_over_tasks() -> None:
    lines = list(table({"one": {"a": 0.5, "b": 1.0}, "two": {"a": 0.7, "b": 0.0}}))
    assert lines[0] == "| trained | one | two | mean |"
    assert lines[2:] == ["| a | 50.0% | 70.0% | 60.0% |", "| b | 100.0% | 0.0% | 50.0% |"]


@pytest.mark.slow
def test_designs_are_trained_with_fixed_and_learned_class_features(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--tasks", "pictures/styles", "--scales", "30", "--epochs", "1"])
    told = capsys.readouterr().out.splitlines()
    names = [line.split(" | ")[0].removeprefix("| ") for line in told[2:]]
    assert names == [
        "linear probe",
        "class means",
        "30, fixed, 2 everywhere",
        "30, fixed, 4 in the first quarter",
        "30, learned, none",
        "30, learned, 2 everywhere",
        "30, learned, 4 in the first quarter",
    ]
    with pytest.raises(SystemExit):
        main(["--tasks", "mini/digits"])
