from typing import Any

import pytest

from dpl_nas.comparison import Cell
from dpl_nas.comparison.pairs import compare, paired
from dpl_nas.errors import ComparisonError


def test_pairs_share_space_task_shots_and_seed(cell: Any) -> None:
    cells = [
        cell("a", seed=1, accuracy=0.7),
        cell("b", seed=1, accuracy=0.5),
        cell("b", seed=1, accuracy=0.9, shots=16),
        cell("b", seed=1, accuracy=0.9, space="other"),
        cell("b", task="halves", seed=1, accuracy=0.9),
        cell("a", seed=2, accuracy=None),
        cell("b", seed=2, accuracy=0.5),
        cell("c", seed=3, accuracy=0.5),
    ]
    differences, incomplete = paired(cells, "a", "b")
    assert list(differences.values()) == pytest.approx([0.2])
    # Seed 3 was asked for of neither.
    assert incomplete == 4


def test_what_is_compared_with_what(grid: list[Cell]) -> None:
    def names(baseline: str | None) -> set[tuple[str, str]]:
        return {(item.first, item.second) for item in compare(grid, baseline)}

    assert names(None) == {
        ("darts", "random"),
        ("darts", "zero-shot"),
        ("random", "zero-shot"),
    }
    assert names("random") == {("darts", "random"), ("zero-shot", "random")}
    assert names("zero-shot") == {("darts", "zero-shot"), ("random", "zero-shot")}
    with pytest.raises(
        ComparisonError, match=r"baseline evolution .*: choose one of darts, random"
    ):
        compare(grid, "evolution")


def test_a_comparison_by_hand(grid: list[Cell]) -> None:
    (item,) = (i for i in compare(grid) if (i.first, i.second) == ("darts", "random"))
    assert item.differences == pytest.approx([0.01, 0.02, 0.03, 0.01, 0.02, 0.03])
    assert item.difference.mean == pytest.approx(0.02)
    assert item.test is not None
    assert item.test.p == pytest.approx(2 / 64)
    # All three have this p: Holm multiplies it by 3.
    assert (item.corrected_p, item.smallest_p) == pytest.approx((6 / 64, 6 / 64))
    assert item.comparisons == 3
    assert (item.ahead, item.behind) == ((2, 2), (0, 2))
    assert item.interval is not None
    assert item.interval.method == "t"


def test_comparisons_without_pairs_are_not_corrected_for(cell: Any) -> None:
    cells = [cell("a", seed=1), cell("b", seed=1, accuracy=None), cell("c", seed=1, accuracy=0.7)]
    made = {(item.first, item.second): item for item in compare(cells)}
    assert made["a", "b"].test is None
    assert made["a", "b"].corrected_p is None
    assert made["a", "b"].incomplete == 1
    assert made["a", "c"].comparisons == 1
