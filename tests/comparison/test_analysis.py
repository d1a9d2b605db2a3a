import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.comparison import Cell, analyse
from dpl_nas.comparison.analysis import Setting, compare, mean_over_tasks, paired, rank
from dpl_nas.comparison.statistics import estimate
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


def test_mean_over_tasks_of_each_seed(grid: list[Cell]) -> None:
    found = mean_over_tasks(grid, Setting("small", 4), "darts")
    means = [0.7 + 0.05 + 0.02 * seed for seed in (1, 2, 3)]
    assert found.test.values == pytest.approx(means)
    assert found.test.half_width == pytest.approx(estimate(means).half_width)
    assert found.seeds == (1, 2, 3)
    # Without one task, a seed's mean would be that of other tasks.
    found = mean_over_tasks(grid[3:], Setting("small", 4), "darts")
    assert (found.seeds, found.expected) == ((2, 3), 3)
    assert mean_over_tasks(grid, Setting("small", 4), "zero-shot").validation.mean is None


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


@given(
    st.lists(
        st.tuples(*[st.integers(0, 10).map(lambda n: n / 10) for _ in range(3)]),
        min_size=1,
        max_size=6,
    )
)
def test_ranks_of_complete_blocks(cell: Any, rows: list[tuple[float, float, float]]) -> None:
    cells = [
        cell(name, seed=seed, accuracy=value)
        for seed, row in enumerate(rows)
        for name, value in zip("abc", row, strict=True)
    ]
    found = rank(cells)
    assert sum(found.mean.values()) == pytest.approx(6)
    assert found.blocks == len(rows)
    for index in range(len(rows)):
        assert sum(places[index] for places in found.by_seed.values()) == pytest.approx(6)


def test_ranks_leave_out_what_is_not_there(cell: Any) -> None:
    cells = [
        cell("a", seed=1, accuracy=0.9),
        cell("b", seed=1, accuracy=0.8),
        cell("c", seed=1, accuracy=None),
        cell("a", seed=2, accuracy=0.1),
        cell("reference", seed=1, accuracy=0.99, reference=True),
    ]
    found = rank(cells)
    assert found.mean == {"a": 1, "b": 2}
    assert (found.blocks, found.incomplete, found.absent) == (1, 1, ("c",))
    assert rank([cell("a", accuracy=None)]).mean == {}


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


def test_agreement_and_lengths(cell: Any) -> None:
    cells = [
        cell(seed=1, lengths={"image": [0, 2]}, vectors=2),
        cell(seed=2, lengths={"image": [4, 2]}, vectors=6),
        cell("random", seed=1, lengths={"image": [1, 1]}, vectors=2),
    ]
    darts, random = analyse(cells).found
    assert darts.lengths == {"image": (2, 2)}
    assert darts.agreement is not None
    assert (darts.agreement.equal, darts.agreement.distance) == (0.5, 2)
    assert darts.entropy == 0.25
    assert random.agreement is random.entropy is None


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
    with pytest.raises(ComparisonError, match="other layers in space small"):
        analyse([*grid, cell("evolution", lengths={"image": [1]})])
