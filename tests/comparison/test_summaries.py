from typing import Any

import pytest

from dpl_nas.comparison import Cell, analyse
from dpl_nas.comparison.statistics import estimate
from dpl_nas.comparison.summaries import Setting, mean_over_tasks


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
