"""All statistics of a comparison, computed once from its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dpl_nas.comparison.cell import Block, Cell, unique
from dpl_nas.comparison.pairs import Comparison, compare
from dpl_nas.comparison.ranks import Ranking, rank
from dpl_nas.comparison.statistics import t_interval
from dpl_nas.comparison.summaries import (
    Accuracy,
    Cost,
    Found,
    Setting,
    accuracies,
    costs,
    found_lengths,
    mean_over_tasks,
)
from dpl_nas.errors import ComparisonError
from dpl_nas.io.reprs import short_repr

__all__ = ["Analysis", "analyse"]


@dataclass(frozen=True)
class Analysis:
    """All results that a report shows; see the types of its fields.

    ``missing`` are cells that a strategy lacks where others have one: pairs of strategy and block.
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

    __repr__ = short_repr

    @property
    def methods(self) -> tuple[str, ...]:
        """The strategies, then the references."""
        return (*self.strategies, *self.references)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; cells are written as by :meth:`Cell.to_json`."""
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
        The strategy or reference that all others are compared with. By default each strategy is
        compared with each other one and with each reference.
    seed
        Seed of the bootstrap.

    Raises
    ------
    ComparisonError
        If there are no cells, two are the same, a name is both strategy and reference, or the
        baseline is none of them.
    """
    cells = _check_each(tuple(cells))
    strategies = unique(cell.strategy for cell in cells if not cell.reference)
    references = unique(cell.strategy for cell in cells if cell.reference)
    settings = unique(Setting(cell.space, cell.shots) for cell in cells)
    tasks = unique(cell.task for cell in cells)
    blocks = unique(cell.block for cell in cells)
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
        accuracies=accuracies(cells, settings, tasks, methods, references),
        means=tuple(
            mean_over_tasks(cells, setting, method) for setting in settings for method in methods
        ),
        costs=costs(cells, settings, methods),
        found=found_lengths(cells, settings, tasks, strategies),
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


def _check_each(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    if not cells:
        raise ComparisonError("there is nothing to compare: expected at least one cell")
    seen: set[tuple[str, Block]] = set()
    shapes: dict[str, tuple[Cell, dict[str, int]]] = {}
    for cell in cells:
        if (cell.strategy, cell.block) in seen:
            raise ComparisonError(
                f"{cell.strategy} on {cell.task}, {cell.space}, {cell.shots} shots, seed "
                f"{cell.seed} was given twice: give each cell once"
            )
        seen.add((cell.strategy, cell.block))
        if cell.vector:
            shape = {tower: len(part) for tower, part in cell.lengths.items()}
            first, expected = shapes.setdefault(cell.space, (cell, shape))
            if shape != expected:
                raise ComparisonError(
                    f"{cell.strategy} and {first.strategy} have different layers in space "
                    f"{cell.space}: give cells of one and the same space"
                )
    both = {cell.strategy for cell in cells if cell.reference} & {
        cell.strategy for cell in cells if not cell.reference
    }
    if both:
        raise ComparisonError(
            f"{min(both)} is a strategy in one cell and a reference in another: rename one"
        )
    return cells


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
