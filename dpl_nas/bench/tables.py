"""The tables of a bench as plain text, for every format."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.pairs import BASE, HARMONIC, NEW, differences, harmonic
from dpl_nas.bench.published import PUBLISHED
from dpl_nas.comparison.formats import (
    NOTHING,
    accuracy,
    counted,
    each,
    ends,
    number,
    p_value,
    points,
    time,
)
from dpl_nas.comparison.statistics import Estimate, estimate
from dpl_nas.comparison.tables import Grid
from dpl_nas.io.reprs import short_repr
from dpl_nas.space import TOWERS

__all__ = ["BenchTables", "Score", "bench_tables", "coop_half_width", "latex", "scores"]

#: The half of the published interval is so many standard errors.
_COOP = 1.96
_AVERAGE = "average"


@dataclass(frozen=True)
class Score:
    """The accuracy of a method on a test set, over seeds.

    Attributes
    ----------
    task
        Task that was learned from.
    test
        Name of the test set.
    over
        Mean and t interval over the seeds.
    """

    method: str
    task: str
    shots: int
    test: str
    over: Estimate

    __repr__ = short_repr


def scores(cells: Iterable[BenchCell]) -> list[Score]:
    """Return the score of each method, task, number of shots and test set, in their order."""
    values: dict[tuple[str, str, int, str], list[float]] = {}
    for cell in cells:
        for test, share in cell.accuracy.items():
            values.setdefault((cell.method, cell.task, cell.shots, test), []).append(share)
    return [Score(*key, estimate(own)) for key, own in values.items()]


def coop_half_width(values: Sequence[float]) -> float | None:
    """Return the half-width of the interval of CoOp's scripts: 1.96 s / sqrt(n), s over n.

    It takes s for known: with three seeds, the t interval is 2.7 times as wide.
    """
    if len(values) < 2:
        return None
    return _COOP * statistics.pstdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class BenchTables:
    """All tables of a bench.

    Attributes
    ----------
    accuracies
        For each number of shots.
    pairs
        All methods against a baseline; without rows if none is given.
    lengths
        Where searches put them.
    details
        Every mean with its seeds and intervals.
    """

    accuracies: tuple[Grid, ...]
    pairs: Grid
    lengths: Grid
    details: Grid
    cost: Grid
    failures: Grid

    __repr__ = short_repr

    @property
    def all(self) -> tuple[Grid, ...]:
        """All that have rows, in this order."""
        first = (*self.accuracies, self.pairs, self.lengths)
        return _filled(*first, self.details, self.cost, self.failures)

    @property
    def summary(self) -> tuple[Grid, ...]:
        """The same without the details."""
        return _filled(*self.accuracies, self.pairs, self.lengths, self.cost, self.failures)


def _filled(*grids: Grid) -> tuple[Grid, ...]:
    return tuple(grid for grid in grids if grid.rows)


def bench_tables(
    cells: Sequence[BenchCell], *, published: bool = False, baseline: str | None = None
) -> BenchTables:
    """Return all tables of a bench.

    Parameters
    ----------
    published
        Whether figures of papers stand beside them, on other tasks and another backbone.
    baseline
        Method that all others are compared with, pair by pair.

    Raises
    ------
    BenchError
        If the baseline is not in the bench.
    """
    shots = list(dict.fromkeys(cell.shots for cell in cells))
    grids = []
    for count in shots:
        own = [cell for cell in cells if cell.shots == count]
        table = _halves if cells[0].protocol == "base-to-new" else _accuracies
        grids += table(own, count, published=published)
    return BenchTables(
        tuple(grids),
        _pairs(cells, baseline),
        _lengths(cells),
        _details(cells),
        _cost(cells),
        _failures(cells),
    )


def _accuracies(cells: Sequence[BenchCell], shots: int, *, published: bool) -> list[Grid]:
    """Methods by tasks, and the average over them."""
    found = scores(cells)
    few_shot = cells[0].protocol == "few-shot"
    columns = list(dict.fromkeys(each.task if few_shot else each.test for each in found))
    # What was learned from is no part of the average of what was not.
    averaged = columns if few_shot else columns[1:]
    methods = list(dict.fromkeys(cell.method for cell in cells))
    by_place = {(each.method, each.task if few_shot else each.test): each.over for each in found}
    rows, means = [], []
    for method in methods:
        over = [by_place.get((method, column)) for column in columns]
        mean = _average([by_place.get((method, column)) for column in averaged])
        means.append(mean)
        row = [method, *(NOTHING if one is None else accuracy(one) for one in over), points(mean)]
        rows.append((*row, *_told(method, cells[0].protocol, published=published)))
    heads = ("method", *columns, _AVERAGE, *(["published"] if published else []))
    note = (
        "Percent: the mean over seeds, and half of its 95% t interval. The average is that of "
        f"{'all tasks' if few_shot else 'the tasks that were not learned from'}."
    )
    title = f"Accuracy, {shots} {'shot' if shots == 1 else 'shots'} ({cells[0].protocol})"
    return [Grid(title, heads, tuple(rows), _noted(note, published), strong=_best(means, heads))]


def _halves(cells: Sequence[BenchCell], shots: int, *, published: bool) -> list[Grid]:
    """Base, new and their harmonic mean: the average over tasks, then each task."""
    found = {(each.method, each.task, each.test): each.over.mean for each in scores(cells)}
    methods = list(dict.fromkeys(cell.method for cell in cells))
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    heads = ("method", BASE, NEW, HARMONIC)

    def grid(title: str, places: Sequence[str], note: str, *, told: bool) -> Grid:
        rows, means = [], []
        for method in methods:
            base, new = (
                _mean([found.get((method, task, half)) for task in places]) for half in (BASE, NEW)
            )
            both = None if base is None or new is None else harmonic(base, new)
            means.append(both)
            row = (method, points(base), points(new), points(both))
            rows.append((*row, *_told(method, "base-to-new", published=told)))
        own = (*heads, *(["published"] if told else []))
        return Grid(title, own, tuple(rows), note, strong=_best(means, own))

    note = "Percent, means over seeds. H is the harmonic mean of the two."
    shown = f"{shots} {'shot' if shots == 1 else 'shots'}"
    average = grid(
        f"Base and new classes, {shown}, average of {counted(len(tasks), 'task')}",
        tasks,
        _noted(note, published),
        told=published,
    )
    return [average, *(grid(f"{task}, {shown}", [task], note, told=False) for task in tasks)]


def _pairs(cells: Sequence[BenchCell], baseline: str | None) -> Grid:
    found = [] if baseline is None else differences(cells, baseline)
    rows = tuple(
        (
            one.method,
            one.measure,
            points(one.over.mean),
            ends(one.interval),
            ends(one.bootstrap),
            f"{one.ahead} of {one.over.count}",
            p_value(one.p),
            p_value(one.corrected_p),
        )
        for one in found
    )
    heads = ("method", "on", "points", "t interval", "bootstrap", "ahead", "p", "corrected p")
    tests = counted(sum(one.p is not None for one in found), "test")
    note = (
        f"Points that a method is ahead of {baseline}: the same images, seed and tests, where both "
        "are complete. 95% intervals and the t test are over tasks, or test sets of one that was "
        "not learned from, for what to expect of another; the bootstrap draws seeds, too. "
        f"Corrected p: Holm's method over {tests}."
    )
    return Grid(f"Against {baseline}", heads, rows, note, labels=2)


def _lengths(cells: Sequence[BenchCell]) -> Grid:
    """Sums of searched lengths in the first and the last half of the layers of each tower."""
    searched = [cell for cell in cells if cell.lengths]
    towers = [tower for tower in TOWERS if any(tower in cell.lengths for cell in searched)]
    rows = []
    for method, task in dict.fromkeys((cell.method, cell.task) for cell in searched):
        own = [cell for cell in searched if (cell.method, cell.task) == (method, task)]
        sums = [
            statistics.fmean(sum(part(cell.lengths.get(tower, ()))) for cell in own)
            for tower in towers
            for part in (_first_half, _last_half)
        ]
        rows.append((method, task, number(sum(sums), 1), *(number(each, 1) for each in sums)))
    halves = [f"{tower}, {half}" for tower in towers for half in ("first", "last")]
    note = "Sums of lengths, means over seeds: all, and in the first and last half of the layers."
    heads = ("method", "learned from", "all", *halves)
    return Grid("Found lengths", heads, tuple(rows), note, labels=2)


def _first_half(lengths: Sequence[int]) -> Sequence[int]:
    return lengths[: len(lengths) // 2]


def _last_half(lengths: Sequence[int]) -> Sequence[int]:
    return lengths[len(lengths) // 2 :]


def _details(cells: Sequence[BenchCell]) -> Grid:
    settings: dict[tuple[str, str, int], list[str]] = {}
    for cell in cells:
        if cell.error is None:
            settings.setdefault((cell.method, cell.task, cell.shots), []).append(cell.settings)
    chosen = any(cell.settings for cell in cells)
    rows = [
        (
            one.method,
            one.task,
            str(one.shots),
            one.test,
            points(one.over.mean),
            each(one.over),
            points(coop_half_width(one.over.values)),
            points(one.over.half_width),
            *((_listed(settings[one.method, one.task, one.shots]),) if chosen else ()),
        )
        for one in scores(cells)
    ]
    named = ("method", "learned from", "shots", "tested on")
    heads = (*named, "mean", "each seed", "CoOp +-", "t +-", *(["settings"] if chosen else []))
    note = (
        "CoOp +- is the half-width of its scripts, 1.96 s / sqrt(n) with s over n; t +- is that of "
        "the 95% t interval, which holds for few seeds."
    )
    return Grid("Every result", heads, tuple(rows), note, labels=4)


def _listed(settings: Sequence[str]) -> str:
    """Those of all seeds, each once if they are all the same."""
    different = len({*settings}) > 1
    return "; ".join(settings if different else settings[:1]) or NOTHING


def _cost(cells: Sequence[BenchCell]) -> Grid:
    rows = []
    for method in dict.fromkeys(cell.method for cell in cells):
        own = [cell for cell in cells if cell.method == method and cell.error is None]
        if own:
            sizes = sorted({cell.parameters for cell in own})
            shown = number(sizes[0]) if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
            seconds = statistics.fmean(cell.seconds for cell in own)
            peak = max(cell.peak_bytes for cell in own)
            rows.append((method, shown, time(seconds), number(peak / 2**30, 2)))
    heads = ("method", "learned numbers", "learning", "peak GB")
    note = "Learning is wall-clock time, a mean over cells; peak memory is that of a whole process."
    return Grid("Cost", heads, tuple(rows), note)


def _failures(cells: Sequence[BenchCell]) -> Grid:
    rows = tuple(
        (cell.method, cell.task, str(cell.shots), str(cell.seed), cell.error)
        for cell in cells
        if cell.error is not None
    )
    return Grid("Failed", ("method", "task", "shots", "seed", "why"), rows, labels=5)


def latex(grid: Grid) -> str:
    """Return a table for LaTeX, with the package booktabs."""
    columns = "l" * grid.labels + "r" * (len(grid.columns) - grid.labels)
    lines = [f"% {grid.title}", f"\\begin{{tabular}}{{{columns}}}", "\\toprule"]
    lines += [_latex_row(grid.columns), "\\midrule"]
    for row, texts in enumerate(grid.rows):
        shown = [
            f"\\textbf{{{_latex(text)}}}" if (row, column) in grid.strong else _latex(text)
            for column, text in enumerate(texts)
        ]
        lines.append(" & ".join(shown) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _latex_row(texts: Iterable[str]) -> str:
    return " & ".join(map(_latex, texts)) + r" \\"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _told(method: str, protocol: str, *, published: bool) -> tuple[str, ...]:
    if not published:
        return ()
    figure = PUBLISHED.get((method, protocol))
    return (NOTHING if figure is None else f"{figure.percent} ({figure.source})",)


def _noted(note: str, published: bool) -> str:
    if not published:
        return note
    return (
        f"{note} Published figures were not measured here: they are averages over CoOp's eleven "
        "datasets with ViT-B/16 at 16 shots, as their source says."
    )


def _average(over: Iterable[Estimate | None]) -> float | None:
    return _mean([None if one is None else one.mean for one in over])


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; ``None`` if a value is missing, as a mean over fewer would be another."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _best(means: Sequence[float | None], heads: Sequence[str]) -> frozenset[tuple[int, int]]:
    """The cell of the largest mean, in the column of averages or of harmonic means."""
    known = [mean for mean in means if mean is not None]
    if len(known) < 2:
        return frozenset()
    column = heads.index(_AVERAGE if _AVERAGE in heads else HARMONIC)
    return frozenset((row, column) for row, mean in enumerate(means) if mean == max(known))
