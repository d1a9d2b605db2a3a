"""All statistics of a comparison, computed once from its cells."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from dpl_nas.comparison.cell import Block, Cell, Metric
from dpl_nas.comparison.statistics import (
    Agreement,
    Estimate,
    Interval,
    SignedRank,
    agreement,
    bootstrap_interval,
    estimate,
    holm,
    mean_ranks,
    signed_rank,
    t_interval,
)
from dpl_nas.errors import ComparisonError

__all__ = [
    "Accuracy",
    "Analysis",
    "Comparison",
    "Cost",
    "Found",
    "Ranking",
    "Setting",
    "analyse",
    "compare",
    "mean_over_tasks",
    "paired",
    "rank",
]

#: Below this many pairs a bootstrap interval is too narrow to be told, and the t interval is.
BOOTSTRAP_PAIRS = 10
_METRICS: tuple[Metric, ...] = ("test_accuracy", "test_macro_f1", "validation_accuracy")


class Setting(NamedTuple):
    """What results share that go into one table."""

    space: str
    shots: int


@dataclass(frozen=True)
class Accuracy:
    """Test and validation of one strategy, by seed.

    Attributes
    ----------
    setting, task, strategy, reference
        Of which cells; ``task`` is none for the mean over tasks of each seed.
    seeds
        The seeds of the values, in their order.
    test, macro_f1, validation
        Shares in 0..1; each may have fewer values than the seeds that were asked for.
    vectors
        Context vectors of each seed; of the mean over tasks, their mean.
    expected
        How many seeds were asked for.
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
    """What the searches of one strategy took: means over complete cells, and the largest peak."""

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
    """How decided the searches of one strategy on one task ended, and how alike.

    Attributes
    ----------
    setting, task, strategy
        Of which cells.
    entropy
        Mean over seeds of the final mean entropy, 0 decided to 1 undecided; none where the
        strategy has none.
    agreement
        Of the lengths of different seeds; none with one seed.
    lengths
        Mean over seeds by tower and layer.
    """

    setting: Setting
    task: str
    strategy: str
    entropy: float | None
    agreement: Agreement | None
    lengths: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Comparison:
    """Paired differences of test accuracy, ``first`` minus ``second``.

    Attributes
    ----------
    first, second
        The two strategies, or a strategy and a reference.
    blocks, differences
        The pairs, and the difference of each as a share (0.01 is a point).
    incomplete
        Pairs that lack a result on either side.
    difference
        Mean and t interval.
    bootstrap
        Interval of the mean; none if there is no spread.
    test
        Wilcoxon's; none without pairs.
    corrected_p, smallest_p
        After Holm's correction over all comparisons made, and what the smallest could be.
    comparisons
        How many were made.
    ahead, behind
        Tasks where the mean difference is above or below zero, and tasks in all.
    """

    first: str
    second: str
    blocks: tuple[Block, ...]
    differences: tuple[float, ...]
    incomplete: int
    difference: Estimate
    bootstrap: Interval | None
    test: SignedRank | None
    corrected_p: float | None
    smallest_p: float | None
    comparisons: int
    ahead: tuple[int, int]
    behind: tuple[int, int]

    @property
    def pairs(self) -> int:
        """How many complete pairs there are."""
        return len(self.differences)

    @property
    def interval(self) -> Interval | None:
        """The interval to tell: bootstrap with enough pairs for it, else t."""
        if self.pairs >= BOOTSTRAP_PAIRS:
            return self.bootstrap
        return t_interval(self.differences)


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of the strategies, 1 is the best.

    Attributes
    ----------
    mean
        By strategy, over all blocks.
    by_seed
        By strategy, the mean of each seed.
    seeds
        In the order of ``by_seed``.
    blocks, incomplete
        Blocks (space, task, shots, seed) that count, and those that lack a strategy's result.
    absent
        Strategies without any result, which are not ranked.
    """

    mean: dict[str, float]
    by_seed: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    blocks: int
    incomplete: int
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """Everything that a report tells; see the parts.

    ``missing`` are the cells that others have beside them, as pairs of strategy and block.
    """

    cells: tuple[Cell, ...]
    baseline: str | None
    strategies: tuple[str, ...]
    references: tuple[str, ...]
    tasks: tuple[str, ...]
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    accuracies: tuple[Accuracy, ...]
    means: tuple[Accuracy, ...]
    costs: tuple[Cost, ...]
    found: tuple[Found, ...]
    comparisons: tuple[Comparison, ...]
    ranking: Ranking
    failed: tuple[Cell, ...]
    missing: tuple[tuple[str, Block], ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Strategies, then references."""
        return (*self.strategies, *self.references)

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON; cells as :meth:`Cell.to_json` has them."""
        plain = {
            name: _plain(getattr(self, name))
            for name in self.__dataclass_fields__
            if name not in {"cells", "failed", "missing"}
        }
        for item, comparison in zip(plain["comparisons"], self.comparisons, strict=True):
            item["t_interval"] = _plain(t_interval(comparison.differences))
        plain["failed"] = [
            {**cell.block._asdict(), "strategy": cell.strategy, "error": cell.error}
            for cell in self.failed
        ]
        plain["missing"] = [{**block._asdict(), "strategy": name} for name, block in self.missing]
        plain["cells"] = [cell.to_json() for cell in self.cells]
        return plain


def analyse(cells: Iterable[Cell], baseline: str | None = None, *, seed: int = 0) -> Analysis:
    """All statistics of ``cells``.

    Parameters
    ----------
    baseline
        A strategy or reference that every other one is compared with. By default each strategy
        is compared with each other one and with each reference.
    seed
        Of the bootstrap.

    Raises
    ------
    ComparisonError
        If there are no cells, two are the same, a name is both strategy and reference, or the
        baseline is none of them.
    """
    cells = _checked(tuple(cells))
    strategies = _unique(cell.strategy for cell in cells if not cell.reference)
    references = _unique(cell.strategy for cell in cells if cell.reference)
    settings = _unique(Setting(cell.space, cell.shots) for cell in cells)
    tasks = _unique(cell.task for cell in cells)
    blocks = _unique(cell.block for cell in cells)
    there = {(cell.strategy, cell.block) for cell in cells}
    methods = (*strategies, *references)
    return Analysis(
        cells=cells,
        baseline=baseline,
        strategies=strategies,
        references=references,
        tasks=tasks,
        settings=settings,
        seeds=tuple(sorted({cell.seed for cell in cells})),
        accuracies=_accuracies(cells, settings, tasks, methods, references),
        means=tuple(
            mean_over_tasks(cells, setting, method) for setting in settings for method in methods
        ),
        costs=_costs(cells, settings, methods),
        found=_found(cells, settings, tasks, strategies),
        comparisons=compare(cells, baseline, seed=seed),
        ranking=rank(cells),
        failed=tuple(cell for cell in cells if not cell.complete),
        missing=tuple(
            (method, block)
            for method in methods
            for block in blocks
            if (method, block) not in there
        ),
    )


def paired(
    cells: Iterable[Cell], first: str, second: str, metric: Metric = "test_accuracy"
) -> tuple[dict[Block, float], int]:
    """Differences first - second by block, and how many blocks lack one side or both.

    Blocks that neither of the two was asked for do not count.
    """
    values = {
        name: {cell.block: getattr(cell, metric) for cell in cells if cell.strategy == name}
        for cells in (tuple(cells),)
        for name in (first, second)
    }
    differences: dict[Block, float] = {}
    blocks = _unique([*values[first], *values[second]])
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
    strategies = _unique(cell.strategy for cell in cells if not cell.reference)
    references = _unique(cell.strategy for cell in cells if cell.reference)
    if baseline is None:
        names = [*combinations(strategies, 2)]
        names += [(strategy, reference) for strategy in strategies for reference in references]
    elif baseline in (*strategies, *references):
        names = [(name, baseline) for name in (*strategies, *references) if name != baseline]
    else:
        raise ComparisonError(
            f"the baseline {baseline} is not among what is compared: choose one of "
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
    tasks = _unique(block.task for block in differences)
    means = [
        statistics.fmean(value for block, value in differences.items() if block.task == task)
        for task in tasks
    ]
    return sum(round(sign * mean, 12) > 0 for mean in means), len(tasks)


def rank(cells: Sequence[Cell], metric: Metric = "test_accuracy") -> Ranking:
    """Ranks of the strategies in each block where all that have any result have one."""
    asked = _unique(cell.strategy for cell in cells if not cell.reference)
    values: dict[Block, dict[str, float]] = {cell.block: {} for cell in cells if not cell.reference}
    for cell in cells:
        value = getattr(cell, metric)
        if not cell.reference and value is not None:
            values[cell.block][cell.strategy] = value
    names = [name for name in asked if any(name in row for row in values.values())]
    whole = {
        block: {name: row[name] for name in names}
        for block, row in values.items()
        if names and set(row) == set(names)
    }
    seeds = tuple(sorted({block.seed for block in whole}))
    of_seeds = [
        mean_ranks([row for block, row in whole.items() if block.seed == seed]) for seed in seeds
    ]
    return Ranking(
        mean=mean_ranks(list(whole.values())),
        by_seed={name: tuple(places[name] for places in of_seeds) for name in names},
        seeds=seeds,
        blocks=len(whole),
        incomplete=len(values) - len(whole),
        absent=tuple(name for name in asked if name not in names),
    )


def mean_over_tasks(cells: Sequence[Cell], setting: Setting, strategy: str) -> Accuracy:
    """For each seed the mean over all tasks of the setting, then mean and interval over seeds.

    A seed counts only with a result on every task that any strategy was asked for: means over
    different tasks could not be compared.
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


def _accuracies(
    cells: Sequence[Cell],
    settings: Iterable[Setting],
    tasks: Sequence[str],
    methods: Sequence[str],
    references: Sequence[str],
) -> tuple[Accuracy, ...]:
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


def _costs(
    cells: Sequence[Cell], settings: Iterable[Setting], methods: Sequence[str]
) -> tuple[Cost, ...]:
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
                    stopped_by=_unique(cell.stopped_by for cell in own if cell.stopped_by),
                )
            )
    return tuple(result)


def _found(
    cells: Sequence[Cell],
    settings: Iterable[Setting],
    tasks: Sequence[str],
    strategies: Sequence[str],
) -> tuple[Found, ...]:
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


def _checked(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    if not cells:
        raise ComparisonError("there is nothing to compare: expected at least one cell")
    seen: set[tuple[str, Block]] = set()
    shapes: dict[str, tuple[Cell, dict[str, int]]] = {}
    for cell in cells:
        if (cell.strategy, cell.block) in seen:
            raise ComparisonError(
                f"{cell.strategy} on {cell.task}, {cell.space}, {cell.shots} shots, seed "
                f"{cell.seed} is there twice: give each cell once"
            )
        seen.add((cell.strategy, cell.block))
        if cell.vector:
            shape = {tower: len(part) for tower, part in cell.lengths.items()}
            first, expected = shapes.setdefault(cell.space, (cell, shape))
            if shape != expected:
                raise ComparisonError(
                    f"{cell.strategy} and {first.strategy} have other layers in space "
                    f"{cell.space}: compare cells of the same space"
                )
    both = {cell.strategy for cell in cells if cell.reference} & {
        cell.strategy for cell in cells if not cell.reference
    }
    if both:
        raise ComparisonError(
            f"{min(both)} is a strategy in one cell and a reference in another: rename one"
        )
    return cells


def _unique(items: Iterable[Any]) -> tuple[Any, ...]:
    """Each once, in the order of their first appearance."""
    return tuple(dict.fromkeys(items))


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {key: _plain(getattr(value, key)) for key in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
