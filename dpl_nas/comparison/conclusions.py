"""Conclusions from a comparison in plain sentences, and their limits."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dpl_nas.comparison.analysis import Analysis
from dpl_nas.comparison.formats import counted, p_value, points
from dpl_nas.comparison.pairs import Comparison

__all__ = ["LEVEL", "caveats", "conclusion", "supported"]

#: The level: a difference with a corrected p below it counts as shown.
LEVEL = 0.05
#: Budgets are unequal if one strategy saw this many times as many images as another.
_UNEQUAL = 1.1
_INTERVALS = {"t": "t interval", "bca": "bootstrap interval", "percentile": "bootstrap interval"}


def conclusion(comparison: Comparison) -> str:
    """One sentence: who is ahead by how much, how sure that is, and what follows.

    The points are those of the side that is ahead. The sentence claims only a difference that
    is :func:`supported`.
    """
    first, second = comparison.first, comparison.second
    test, mean = comparison.test, comparison.difference.mean
    if test is None or mean is None or comparison.corrected_p is None:
        return (
            f"{first} and {second} have no complete pair of results, so nothing may be concluded."
        )
    pairs = _pairs(comparison)
    if test.method == "none":
        return (
            f"{first} and {second} have the same test accuracy in all {pairs}, so no difference "
            "is shown."
            if test.pairs > 1
            else f"{first} and {second} have the same test accuracy in {pairs}, so nothing may be "
            "concluded."
        )
    if mean < 0:
        first, second = second, first
    by = "less than 0.1" if points(abs(mean)) == "0.0" else points(abs(mean))
    told = (
        f"{first} is ahead of {second} by {by} points on average over {pairs} "
        f"({_evidence(comparison)})"
    )
    if comparison.smallest_p is not None and comparison.smallest_p >= LEVEL:
        left_out = f" ({counted(test.zeros, 'pair')} without a difference left out)"
        corrected = "corrected p" if comparison.comparisons > 1 else "p"
        return (
            f"{told}, but with {counted(test.pairs - test.zeros, 'pair')}"
            f"{left_out if test.zeros else ''} no {corrected} below "
            f"{p_value(comparison.smallest_p)} is possible, so nothing may be concluded."
        )
    if comparison.corrected_p >= LEVEL:
        return f"{told}; this shows neither that the two differ nor that they are equal."
    if not supported(comparison):
        return f"{told}, but the test and the interval disagree, so nothing may be concluded."
    ahead, tasks = comparison.ahead if mean > 0 else comparison.behind
    if tasks == 1:
        return f"{told}, so {first} tests better on this task."
    # Several seeds of one task are not independent samples of tasks.
    return (
        f"{told}, so {first} tests better on these {tasks} tasks together "
        f"(and leads on {ahead} of them)."
    )


def supported(comparison: Comparison) -> bool:
    """Whether a difference may be claimed.

    It may if the corrected p is below 0.05, the interval of the mean excludes zero, and both have
    the same sign. If all differences are equal, there is no interval and p decides.
    """
    mean, interval = comparison.difference.mean, comparison.interval
    if mean is None or comparison.test is None or comparison.corrected_p is None:
        return False
    excludes = interval is None or interval.low > 0 or interval.high < 0
    return comparison.corrected_p < LEVEL and excludes and comparison.test.effect * mean > 0


def caveats(analysis: Analysis) -> list[str]:
    """Sentences that come before the conclusions: on gaps, and on unequal budgets."""
    told = []
    made = max((item.comparisons for item in analysis.comparisons), default=0)
    if made > 1:
        told.append(
            f"{made} comparisons were made, so each p of Wilcoxon's test is corrected with Holm's "
            "method."
        )
    if any((item.smallest_p or 0) >= LEVEL for item in analysis.comparisons):
        # 2 / 2^n, times the number of comparisons, must be below the level.
        needed = math.floor(math.log2(2 * made / LEVEL)) + 1
        told.append(
            f"There are too few pairs for some conclusions: with {counted(made, 'comparison')}, "
            f"each needs at least {needed} pairs that differ."
        )
    if len(analysis.seeds) == 1:
        told.append("There is only one seed, so differences between seeds are not known.")
    if analysis.failed:
        names = _by_name(cell.strategy for cell in analysis.failed)
        told.append(f"{counted(len(analysis.failed), 'cell')} failed ({names}).")
    if analysis.missing:
        names = _by_name(strategy for strategy, _ in analysis.missing)
        missing = counted(len(analysis.missing), "cell")
        told.append(f"{missing} {'is' if len(analysis.missing) == 1 else 'are'} missing ({names}).")
    if analysis.failed or analysis.missing:
        told.append("Pairs and ranks count complete results only; the tables say how many.")
    unequal: dict[str, list[str]] = {}
    for setting in analysis.settings:
        images = {
            cost.strategy: cost.images
            for cost in analysis.costs
            if cost.setting == setting and not cost.reference and cost.images > 0
        }
        if images and max(images.values()) > _UNEQUAL * min(images.values()):
            seen = ", ".join(f"{name} {value:,.0f}" for name, value in images.items())
            unequal.setdefault(seen, []).append(f"{setting.space}, {setting.shots} shots")
    for seen, settings in unequal.items():
        where = f" ({'; '.join(settings)})" if len(analysis.settings) > 1 else ""
        told.append(f"The searches saw different numbers of images{where}: {seen}.")
    return told


def _pairs(comparison: Comparison) -> str:
    tasks = comparison.ahead[1]
    seeds = len({block.seed for block in comparison.blocks})
    spaces = len({block.space for block in comparison.blocks})
    over = f", {counted(spaces, 'space')}" if spaces > 1 else ""
    lacking = (
        f", {counted(comparison.incomplete, 'pair')} incomplete" if comparison.incomplete else ""
    )
    return (
        f"{counted(comparison.pairs, 'pair')} of {counted(tasks, 'task')}{over} and "
        f"{counted(seeds, 'seed')}{lacking}"
    )


def _evidence(comparison: Comparison) -> str:
    interval = comparison.interval
    if interval is None:
        spread = (
            "no interval, as all differences are equal"
            if comparison.pairs > 1
            else "no interval, as there is only one pair"
        )
    else:
        ends = sorted((interval.low, interval.high))
        mean = comparison.difference.mean
        if mean is not None and mean < 0:
            ends = [-end for end in reversed(ends)]
        spread = f"95% {_INTERVALS[interval.method]} {points(ends[0])} to {points(ends[1])}"
    p = p_value(comparison.corrected_p)
    corrected = "corrected p" if comparison.comparisons > 1 else "p"
    return f"{spread}; {corrected} {'' if p.startswith('<') else '= '}{p}"


def _by_name(names: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
