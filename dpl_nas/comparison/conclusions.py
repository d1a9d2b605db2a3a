"""What may be concluded from a comparison, and what may not, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable

from dpl_nas.comparison.analysis import Analysis, Comparison
from dpl_nas.comparison.formats import counted, p_value, points

__all__ = ["LEVEL", "caveats", "conclusion"]

#: A corrected p below it counts as shown.
LEVEL = 0.05
#: Strategies whose searches saw this many times as many images had no equal budget.
_UNEQUAL = 1.1
_INTERVALS = {"t": "t interval", "bca": "bootstrap interval", "percentile": "bootstrap interval"}


def conclusion(comparison: Comparison) -> str:
    """One sentence: who is ahead by how much, how sure that is, and what follows from it.

    A difference is claimed only if the corrected p is below 0.05, the interval of the mean
    excludes zero, and both point the same way.
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
            f"{first} and {second} have the same test accuracy in all of {pairs}, so no "
            "difference is shown."
            if test.pairs > 1
            else f"{first} and {second} have the same test accuracy in {pairs}, which shows "
            "nothing about others."
        )
    if mean < 0:
        first, second = second, first
    lead = "on a par with" if points(abs(mean)) == "0.0" else "ahead of"
    by = "" if lead == "on a par with" else f" by {points(abs(mean))} points"
    told = f"{first} is {lead} {second}{by} on average over {pairs} ({_evidence(comparison)})"
    if comparison.smallest_p is not None and comparison.smallest_p >= LEVEL:
        left_out = f" ({counted(test.zeros, 'pair')} without a difference left out)"
        return (
            f"{told}, but {counted(test.pairs - test.zeros, 'pair')}"
            f"{left_out if test.zeros else ''} cannot give a corrected p below "
            f"{p_value(comparison.smallest_p)} whatever the results, so nothing may be concluded."
        )
    if comparison.corrected_p >= LEVEL:
        return f"{told}, which shows no difference, nor that the two are equal."
    interval = comparison.interval
    excludes = interval is None or interval.low > 0 or interval.high < 0
    if not excludes or test.effect * mean <= 0:
        return f"{told}, where test and interval disagree, so nothing may be concluded."
    ahead, tasks = comparison.ahead
    ahead = ahead if mean > 0 else _behind(comparison)
    # Seeds of one task are no independent samples of tasks.
    where = "this task" if tasks == 1 else f"these {tasks} tasks together"
    led = "all" if ahead == tasks else str(ahead)
    rest = "" if tasks == 1 else f" (it leads on {led} of them)"
    return f"{told}, so it tests better on {where}{rest}; other tasks may differ."


def caveats(analysis: Analysis) -> list[str]:
    """What a reader should know before the conclusions: gaps, and unequal budgets."""
    told = []
    if len(analysis.seeds) == 1:
        told.append("There is one seed: differences between seeds are not known.")
    if analysis.failed:
        names = _by_name(cell.strategy for cell in analysis.failed)
        told.append(f"{counted(len(analysis.failed), 'cell')} failed ({names}).")
    if analysis.missing:
        names = _by_name(strategy for strategy, _ in analysis.missing)
        missing = counted(len(analysis.missing), "cell")
        told.append(f"{missing} {'is' if len(analysis.missing) == 1 else 'are'} missing ({names}).")
    if analysis.failed or analysis.missing:
        told.append("Pairs and ranks use only what is complete; the counts are beside them.")
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
        told.append(f"The searches did not see equally many images{where}: {seen}.")
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
            else ("no interval of one pair")
        )
    else:
        ends = sorted((interval.low, interval.high))
        mean = comparison.difference.mean
        if mean is not None and mean < 0:
            ends = [-end for end in reversed(ends)]
        spread = f"95% {_INTERVALS[interval.method]} {points(ends[0])} to {points(ends[1])}"
    p = p_value(comparison.corrected_p)
    several = comparison.comparisons > 1
    over = f", corrected over {comparison.comparisons} comparisons" if several else ""
    return f"{spread}; Wilcoxon p {'' if p.startswith('<') else '= '}{p}{over}"


def _behind(comparison: Comparison) -> int:
    tasks: dict[str, list[float]] = {}
    for block, difference in zip(comparison.blocks, comparison.differences, strict=True):
        tasks.setdefault(block.task, []).append(difference)
    return sum(round(sum(values), 12) < 0 for values in tasks.values())


def _by_name(names: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
