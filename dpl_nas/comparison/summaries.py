"""Accuracy, cost and found lengths of each strategy in each setting."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dpl_nas.comparison.cell import Cell, Metric, unique
from dpl_nas.comparison.statistics import Agreement, Estimate, agreement, estimate

__all__ = [
    "Accuracy",
    "Cost",
    "Found",
    "Setting",
    "accuracies",
    "costs",
    "found_lengths",
    "mean_over_tasks",
]

_METRICS: tuple[Metric, ...] = ("test_accuracy", "test_macro_f1", "validation_accuracy")


class Setting(NamedTuple):
    """The space and the number of shots that all results of a table share."""

    space: str
    shots: int


@dataclass(frozen=True)
class Accuracy:
    """Test and validation of one strategy, by seed.

    Attributes
    ----------
    setting, task, strategy, reference
        Origin of the cells; ``task`` is ``None`` for the mean over tasks of each seed.
    seeds
        The seeds of the values, in their order.
    test, macro_f1, validation
        Shares in 0..1; each may have fewer values than there should be seeds.
    vectors
        Context vectors of each seed; their mean if ``task`` is ``None``.
    expected
        Number of seeds that there should be.
    """

    setting: Setting
    task: str | None
    strategy: str
    reference: bool
    seeds: tuple[int, ...]
    test: Estimate
    macro_f1: Estimate
    validation: Estimate
    vectors: tuple[float, ...]
    expected: int


@dataclass(frozen=True)
class Cost:
    """The cost of the searches of a strategy: means over complete cells, and the largest peak."""

    setting: Setting
    strategy: str
    reference: bool
    cells: int
    steps: float
    images: float
    seconds: float
    peak_bytes: int | None
    evaluations: float
    failures: int
    stopped_by: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """The lengths that one strategy found on one task: how decided, and how alike.

    Attributes
    ----------
    setting, task, strategy
        Origin of the cells.
    entropy
        Mean over seeds of the final mean entropy, 0 decided to 1 undecided; ``None`` if the
        strategy has none.
    agreement
        Agreement of the lengths of different seeds; ``None`` with one seed.
    lengths
        Mean length over seeds by tower and layer.
    """

    setting: Setting
    task: str
    strategy: str
    entropy: float | None
    agreement: Agreement | None
    lengths: dict[str, tuple[float, ...]]


def accuracies(
    cells: Sequence[Cell],
    settings: Iterable[Setting],
    tasks: Sequence[str],
    methods: Sequence[str],
    references: Sequence[str],
) -> tuple[Accuracy, ...]:
    """Accuracy of every strategy and reference on every task of every setting."""
    result = []
    for setting in settings:
        for task in tasks:
            here = [c for c in cells if (c.space, c.shots) == setting and c.task == task]
            for method in methods if here else ():
                own = [cell for cell in here if cell.strategy == method and cell.complete]
                own.sort(key=lambda cell: cell.seed)
                test, macro_f1, validation = (
                    estimate([v for cell in own if (v := getattr(cell, metric)) is not None])
                    for metric in _METRICS
                )
                result.append(
                    Accuracy(
                        setting=setting,
                        task=task,
                        strategy=method,
                        reference=method in references,
                        seeds=tuple(cell.seed for cell in own),
                        test=test,
                        macro_f1=macro_f1,
                        validation=validation,
                        vectors=tuple(cell.vectors for cell in own),
                        expected=len({cell.seed for cell in here}),
                    )
                )
    return tuple(result)


def mean_over_tasks(cells: Sequence[Cell], setting: Setting, strategy: str) -> Accuracy:
    """The mean over all tasks of the setting for each seed, with mean and interval over seeds.

    A seed counts only if it has a result on every task of the setting: means over different
    tasks could not be compared.
    """
    here = [cell for cell in cells if (cell.space, cell.shots) == setting]
    tasks = {cell.task for cell in here}
    own = [cell for cell in here if cell.strategy == strategy]
    by_seed = {
        seed: [cell for cell in own if cell.seed == seed and cell.complete]
        for seed in sorted({cell.seed for cell in here})
    }
    whole = {seed: part for seed, part in by_seed.items() if {c.task for c in part} == tasks}

    def over_tasks(metric: Metric) -> Estimate:
        rows = [[getattr(cell, metric) for cell in part] for part in whole.values()]
        return estimate([statistics.fmean(row) for row in rows if None not in row])

    test, macro_f1, validation = map(over_tasks, _METRICS)
    return Accuracy(
        setting=setting,
        task=None,
        strategy=strategy,
        reference=any(cell.reference for cell in own),
        seeds=tuple(whole),
        test=test,
        macro_f1=macro_f1,
        validation=validation,
        vectors=tuple(statistics.fmean(cell.vectors for cell in part) for part in whole.values()),
        expected=len(by_seed),
    )


def costs(
    cells: Sequence[Cell], settings: Iterable[Setting], methods: Sequence[str]
) -> tuple[Cost, ...]:
    """Cost of every strategy and reference in every setting where it has a complete cell."""
    result = []
    for setting in settings:
        for method in methods:
            own = [
                cell
                for cell in cells
                if (cell.space, cell.shots) == setting and cell.strategy == method and cell.complete
            ]
            if not own:
                continue

            def mean(of: Callable[[Cell], float], own: Sequence[Cell] = own) -> float:
                return statistics.fmean(map(of, own))

            peaks = [cell.peak_bytes for cell in own if cell.peak_bytes is not None]
            result.append(
                Cost(
                    setting=setting,
                    strategy=method,
                    reference=own[0].reference,
                    cells=len(own),
                    steps=mean(lambda cell: cell.steps),
                    images=mean(lambda cell: cell.images),
                    seconds=mean(lambda cell: cell.seconds),
                    peak_bytes=max(peaks, default=None),
                    evaluations=mean(lambda cell: cell.evaluations),
                    failures=sum(cell.failures for cell in own),
                    stopped_by=unique(cell.stopped_by for cell in own if cell.stopped_by),
                )
            )
    return tuple(result)


def found_lengths(
    cells: Sequence[Cell],
    settings: Iterable[Setting],
    tasks: Sequence[str],
    strategies: Sequence[str],
) -> tuple[Found, ...]:
    """The lengths of every strategy on every task of every setting where it found any."""
    result = []
    for setting in settings:
        for task in tasks:
            for strategy in strategies:
                own = [
                    cell
                    for cell in cells
                    if (cell.space, cell.shots) == setting
                    and (cell.task, cell.strategy) == (task, strategy)
                    and cell.complete
                    and cell.vector
                ]
                if not own:
                    continue
                entropies = [cell.mean_entropy for cell in own if cell.mean_entropy is not None]
                result.append(
                    Found(
                        setting=setting,
                        task=task,
                        strategy=strategy,
                        entropy=statistics.fmean(entropies) if entropies else None,
                        agreement=agreement([cell.vector for cell in own]),
                        lengths={
                            tower: tuple(
                                statistics.fmean(layer)
                                for layer in zip(
                                    *(cell.lengths[tower] for cell in own), strict=True
                                )
                            )
                            for tower in own[0].lengths
                        },
                    )
                )
    return tuple(result)
