"""Two strategies on the same blocks: paired differences and their tests."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from dpl_nas.comparison.cell import Block, Cell, Metric, unique
from dpl_nas.comparison.statistics import (
    Estimate,
    Interval,
    SignedRank,
    bootstrap_interval,
    estimate,
    holm,
    signed_rank,
    t_interval,
)
from dpl_nas.errors import ComparisonError
from dpl_nas.io.reprs import short_repr

__all__ = ["Comparison", "compare", "paired"]

#: With fewer pairs a bootstrap interval is too narrow, and the t interval is reported.
_BOOTSTRAP_PAIRS = 10


@dataclass(frozen=True)
class Comparison:
    """Paired differences of test accuracy, ``first`` minus ``second``.

    Attributes
    ----------
    first, second
        The two strategies, or a strategy and a reference.
    blocks, differences
        Blocks of the pairs, and the difference of each as a share (0.01 is a point).
    incomplete
        Number of pairs that lack a result on one side or both.
    difference
        Mean and t interval.
    over_tasks
        Mean of the tasks' mean differences and its t interval: the unit is the task, so this says
        what to expect of another task.
    bootstrap
        Bootstrap interval of the mean; ``None`` if there is no spread.
    test
        Wilcoxon's test; ``None`` without pairs.
    corrected_p, smallest_p
        The p after Holm's correction over all comparisons made, and the smallest possible one.
    comparisons
        Number of comparisons made.
    ahead, behind
        Number of tasks where the mean difference is above or below zero, and of all tasks.
    """

    first: str
    second: str
    blocks: tuple[Block, ...]
    differences: tuple[float, ...]
    incomplete: int
    difference: Estimate
    over_tasks: Estimate
    bootstrap: Interval | None
    test: SignedRank | None
    corrected_p: float | None
    smallest_p: float | None
    comparisons: int
    ahead: tuple[int, int]
    behind: tuple[int, int]

    __repr__ = short_repr

    @property
    def pairs(self) -> int:
        """Number of complete pairs."""
        return len(self.differences)

    @property
    def interval(self) -> Interval | None:
        """The interval to report: the bootstrap's if there are enough pairs, else the t one."""
        if self.pairs >= _BOOTSTRAP_PAIRS:
            return self.bootstrap
        return t_interval(self.differences)


def paired(
    cells: Iterable[Cell], first: str, second: str, metric: Metric = "test_accuracy"
) -> tuple[dict[Block, float], int]:
    """Differences first - second by block, and the number of blocks that lack a side or both.

    Blocks that neither of the two should have do not count.
    """
    values = {
        name: {cell.block: getattr(cell, metric) for cell in cells if cell.strategy == name}
        for cells in (tuple(cells),)
        for name in (first, second)
    }
    differences: dict[Block, float] = {}
    blocks = unique([*values[first], *values[second]])
    for block in blocks:
        one, other = values[first].get(block), values[second].get(block)
        if one is not None and other is not None:
            differences[block] = one - other
    return differences, len(blocks) - len(differences)


def compare(
    cells: Sequence[Cell],
    baseline: str | None = None,
    *,
    metric: Metric = "test_accuracy",
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Every comparison that is asked for, with p-values corrected over all of them.

    Raises
    ------
    ComparisonError
        If ``baseline`` is neither a strategy nor a reference of ``cells``.
    """
    strategies = unique(cell.strategy for cell in cells if not cell.reference)
    references = unique(cell.strategy for cell in cells if cell.reference)
    if baseline is None:
        names = [*combinations(strategies, 2)]
        names += [(strategy, reference) for strategy in strategies for reference in references]
    elif baseline in (*strategies, *references):
        names = [(name, baseline) for name in (*strategies, *references) if name != baseline]
    else:
        raise ComparisonError(
            f"the baseline {baseline} is not compared: choose one of "
            f"{', '.join((*strategies, *references))}"
        )
    pairs = [paired(cells, first, second, metric) for first, second in names]
    tests = [signed_rank(list(differences.values())) for differences, _ in pairs]
    made = [test for test in tests if test is not None]
    corrected = iter(holm([test.p for test in made]))
    # Holm's values never fall when a p rises, so this bounds them from below.
    smallest = iter(holm([test.smallest_p for test in made]))
    return tuple(
        Comparison(
            first=first,
            second=second,
            blocks=tuple(differences),
            differences=tuple(differences.values()),
            incomplete=incomplete,
            difference=estimate(list(differences.values())),
            over_tasks=estimate(_task_means(differences)),
            bootstrap=bootstrap_interval(list(differences.values()), seed=seed),
            test=test,
            corrected_p=None if test is None else next(corrected),
            smallest_p=None if test is None else next(smallest),
            comparisons=len(made),
            ahead=_leads(differences, 1),
            behind=_leads(differences, -1),
        )
        for (first, second), (differences, incomplete), test in zip(
            names, pairs, tests, strict=True
        )
    )


def _leads(differences: dict[Block, float], sign: int) -> tuple[int, int]:
    means = _task_means(differences)
    return sum(round(sign * mean, 12) > 0 for mean in means), len(means)


def _task_means(differences: dict[Block, float]) -> list[float]:
    return [
        statistics.fmean(value for block, value in differences.items() if block.task == task)
        for task in unique(block.task for block in differences)
    ]
