"""Mean ranks of the strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpl_nas.comparison.cell import Block, Cell, Metric, unique
from dpl_nas.comparison.statistics import mean_ranks

__all__ = ["Ranking", "rank"]


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of the strategies; 1 is the best.

    Attributes
    ----------
    mean
        Mean rank over all blocks, by strategy.
    by_seed
        Mean rank of each seed, by strategy.
    seeds
        Seeds in the order of ``by_seed``.
    blocks, incomplete
        Number of blocks (space, task, shots, seed) that count, and of those that lack a
        strategy's result.
    absent
        Strategies that have no result and are not ranked.
    """

    mean: dict[str, float]
    by_seed: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    blocks: int
    incomplete: int
    absent: tuple[str, ...]


def rank(cells: Sequence[Cell], metric: Metric = "test_accuracy") -> Ranking:
    """Rank the strategies in each complete block; a strategy without any result is left out."""
    asked = unique(cell.strategy for cell in cells if not cell.reference)
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
