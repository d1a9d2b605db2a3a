import json
from typing import Any

import pytest

from dpl_nas.comparison import Cell, analyse
from dpl_nas.errors import ComparisonError


def test_what_is_missing_or_failed(grid: list[Cell], cell: Any) -> None:
    whole = analyse(grid)
    assert whole.failed == whole.missing == ()
    broken = analyse([*grid[1:], cell("evolution", "digits", 1, None)])
    assert [
        (name, block.task, block.seed) for name, block in broken.missing if name == "darts"
    ] == [("darts", "digits", 1)]
    assert [name for name, _ in broken.missing].count("evolution") == 5
    assert [c.strategy for c in broken.failed] == ["evolution"]
    assert {cost.strategy: cost.cells for cost in broken.costs} == {
        "random": 6,
        "darts": 5,
        "zero-shot": 6,
    }


def test_json_is_plain_and_has_no_nan(grid: list[Cell], cell: Any) -> None:
    for cells in (grid, grid[:1], [cell(accuracy=None)]):
        data = json.loads(json.dumps(analyse(cells).to_json(), allow_nan=False))
        assert [Cell.from_json(item) for item in data["cells"]] == cells


def test_what_cannot_be_compared(grid: list[Cell], cell: Any) -> None:
    with pytest.raises(ComparisonError, match="nothing to compare"):
        analyse([])
    with pytest.raises(ComparisonError, match=r"darts on digits, small, 4 shots, seed 1 .* twice"):
        analyse([*grid, grid[0]])
    with pytest.raises(ComparisonError, match=r"darts is a strategy .* a reference"):
        analyse([*grid, cell(seed=9, reference=True)])
    with pytest.raises(ComparisonError, match="different layers in space small"):
        analyse([*grid, cell("evolution", lengths={"image": [1]})])
