from typing import Any

import pytest

from dpl_nas.comparison import Cell, analyse, caveats, conclusion
from dpl_nas.comparison.conclusions import supported
from dpl_nas.comparison.pairs import Comparison, compare


def versus(cell: Any, first: list[float | None], second: list[float | None]) -> Comparison:
    cells = [
        cell(name, f"task{seed % 3}", seed, accuracy)
        for name, values in (("darts", first), ("random", second))
        for seed, accuracy in enumerate(values)
    ]
    (item,) = compare(cells)
    return item


def test_a_difference_that_is_shown(cell: Any) -> None:
    item = versus(cell, [0.8 + 0.001 * n for n in range(1, 13)], [0.7] * 12)
    assert supported(item)
    assert conclusion(item) == (
        "darts is ahead of random by 10.7 points on average over 12 pairs of 3 tasks and 12 seeds "
        "(95% bootstrap interval 10.5 to 10.8; p < 0.001), so darts tests better on these 3 tasks "
        "together (and leads on 3 of them)."
    )


def test_it_is_told_from_the_side_that_is_ahead(cell: Any) -> None:
    item = versus(cell, [0.7] * 6, [0.71, 0.72, 0.73, 0.74, 0.75, 0.76])
    assert supported(item)
    assert conclusion(item).startswith("random is ahead of darts by 3.5 points on average over 6 ")
    assert "(95% t interval 1.5 to 5.5; p = 0.031), so random tests better" in conclusion(item)


def test_no_difference_is_shown(cell: Any) -> None:
    item = versus(cell, [0.7, 0.8] * 4, [0.71, 0.78] * 4)
    assert not supported(item)
    assert conclusion(item).endswith("shows neither that the two differ nor that they are equal.")


def test_equal_means_are_no_conclusion(cell: Any) -> None:
    item = versus(cell, [0.7001, 0.7], [0.7, 0.7])
    assert "darts is ahead of random by less than 0.1 points on average" in conclusion(item)
    assert "par" not in conclusion(item).split()


@pytest.mark.parametrize(("count", "smallest"), [(1, "1.000"), (3, "0.250"), (5, "0.062")])
def test_too_few_pairs(cell: Any, count: int, smallest: str) -> None:
    item = versus(cell, [0.9 + 0.01 * n for n in range(count)], [0.1] * count)
    assert not supported(item)
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    assert conclusion(item).endswith(
        f"but with {pairs} no p below {smallest} is possible, so nothing may be concluded."
    )


def test_pairs_that_do_not_differ_do_not_help(cell: Any) -> None:
    item = versus(cell, [0.9, 0.8, 0.7, *[0.5] * 5], [*[0.5] * 8])
    assert (
        "but with 3 pairs (5 pairs without a difference left out) no p below 0.250"
        in conclusion(item)
    )


def test_no_pair_and_no_difference_at_all(cell: Any) -> None:
    assert conclusion(versus(cell, [0.5], [None])) == (
        "darts and random have no complete pair of results, so nothing may be concluded."
    )
    equal = versus(cell, [0.5] * 8, [0.5] * 8)
    assert not supported(equal)
    assert conclusion(equal) == (
        "darts and random have the same test accuracy in all 8 pairs of 3 tasks and 8 seeds, "
        "so no difference is shown."
    )
    assert "in 1 pair of 1 task and 1 seed, so nothing may be concluded." in conclusion(
        versus(cell, [0.5], [0.5])
    )


def test_test_and_interval_must_agree(cell: Any) -> None:
    # Most pairs are a little better, one is far worse: the ranks say one thing, the mean none.
    item = versus(cell, [*[0.501 + 0.001 * n for n in range(15)], 0.0], [*[0.5] * 15, 0.5])
    assert item.corrected_p is not None
    assert item.corrected_p < 0.05
    assert not supported(item)
    assert conclusion(item).endswith(
        "the test and the interval disagree, so nothing may be concluded."
    )


def test_incomplete_pairs_are_told(cell: Any) -> None:
    item = versus(cell, [0.8, 0.7, None, 0.6], [0.7, 0.71, 0.7, None])
    assert "over 2 pairs of 2 tasks and 2 seeds, 2 pairs incomplete" in conclusion(item)


def test_caveats(grid: list[Cell], cell: Any) -> None:
    told = " ".join(caveats(analyse(grid)))
    assert "3 comparisons were made" in told
    # 3 x 2 / 2^7 is below 0.05, 3 x 2 / 2^6 is not.
    assert "needs at least 7 pairs" in told
    assert "failed" not in told
    told = " ".join(caveats(analyse([*grid[1:], cell("slow", seed=1, accuracy=None)])))
    assert "1 cell failed (slow: 1)." in told
    assert "6 cells are missing (darts: 1, slow: 5)." in told
    greedy = [cell(), cell("greedy", images=64000)]
    told = " ".join(caveats(analyse(greedy)))
    assert "saw different numbers of images: darts 6,400, greedy 64,000." in told
    assert "There is only one seed" in told
