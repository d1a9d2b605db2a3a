import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.comparison import Cell, read_cells, write_cells
from dpl_nas.errors import CheckpointError, ComparisonError

SHARES = st.floats(0, 1)


@given(
    accuracy=SHARES,
    validation=st.none() | SHARES,
    lengths=st.dictionaries(st.sampled_from(["image", "text"]), st.lists(st.integers(0, 9))),
    curve=st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1e6), SHARES)),
    name=st.text(min_size=1),
)
def test_round_trip(
    accuracy: float,
    validation: float | None,
    lengths: dict[str, list[int]],
    curve: list[tuple[int, float, float]],
    name: str,
) -> None:
    cell = Cell(
        task=name,
        space="small",
        strategy="darts",
        seed=1,
        shots=4,
        lengths=lengths,
        vectors=sum(map(sum, lengths.values())),
        test_accuracy=accuracy,
        test_macro_f1=accuracy,
        validation_accuracy=validation,
        curve=curve,
    )
    assert Cell.from_json(json.loads(json.dumps(cell.to_json(), allow_nan=False))) == cell


def test_files(tmp_path: Path, grid: list[Cell]) -> None:
    write_cells(tmp_path / "cells.json", grid)
    assert read_cells(tmp_path / "cells.json") == grid
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ComparisonError, match="not a list of cells"):
        read_cells(tmp_path / "other.json")
    with pytest.raises(CheckpointError, match="does not exist"):
        read_cells(tmp_path / "none.json")


def test_a_failed_cell(cell: Any) -> None:
    failed = cell(accuracy=None)
    assert not failed.complete
    assert Cell.from_json(failed.to_json()) == failed


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"test_accuracy": math.nan}, "expected test_accuracy from 0 to 1, found nan"),
        ({"test_accuracy": 81.2}, "from 0 to 1, found 81.2"),
        ({"mean_entropy": math.inf}, "expected mean_entropy from 0 to 1, found inf"),
        ({"seconds": math.nan}, "seconds of 0 or more, found nan"),
        ({"test_accuracy": None}, "either test_accuracy and test_macro_f1, or an error"),
        ({"error": "failed"}, "either test_accuracy and test_macro_f1, or an error"),
        ({"curve": [(1, 2.0, math.nan)]}, "a curve of finite seconds and accuracies"),
    ],
)
def test_what_is_no_cell(cell: Any, settings: dict[str, Any], told: str) -> None:
    good = dict(vars(cell()))
    with pytest.raises(ComparisonError, match="cell darts on digits, small, seed 1") as caught:
        Cell(**(good | settings))
    assert told in str(caught.value)


@pytest.mark.parametrize("change", [{"seed": "one"}, {"colour": "red"}, {"lengths": [1]}])
def test_what_is_no_json_of_a_cell(cell: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ComparisonError, match=f"not a cell of a comparison: .*{min(change)}"):
        Cell.from_json(cell().to_json() | change)
    data = cell().to_json()
    del data["task"]
    with pytest.raises(ComparisonError, match="task"):
        Cell.from_json(data)
