"""The tables of a comparison as plain text, for HTML, Markdown and the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dpl_nas.comparison.analysis import Analysis
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
from dpl_nas.comparison.pairs import Comparison
from dpl_nas.comparison.statistics import t_interval
from dpl_nas.comparison.summaries import Accuracy, Setting
from dpl_nas.io.text import make_printable

__all__ = [
    "Grid",
    "accuracy_tables",
    "comparison_table",
    "cost_table",
    "detail_tables",
    "escape",
    "failure_table",
    "found_table",
    "markdown",
    "rank_table",
]


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Attributes
    ----------
    title
        Title of the table.
    columns
        Heads of the columns; the first ``labels`` columns name the row, the others hold numbers.
    rows
        Texts of each row, one a column.
    note
        Explanation that a reader needs.
    strong
        Row and column of each cell in bold.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    labels: int = 1
    strong: frozenset[tuple[int, int]] = frozenset()


def accuracy_tables(analysis: Analysis) -> list[Grid]:
    """Test accuracy of every strategy by task, one table a space and number of shots."""
    return [_accuracy_table(analysis, setting) for setting in analysis.settings]


def _accuracy_table(analysis: Analysis, setting: Setting) -> Grid:
    of = {
        (item.task, item.strategy): item for item in analysis.accuracies if item.setting == setting
    }
    of |= {(None, item.strategy): item for item in analysis.means if item.setting == setting}
    methods = [name for name in analysis.methods if any(key[1] == name for key in of)]
    tasks: list[str | None] = [t for t in analysis.tasks if any(key[0] == t for key in of)]
    if len(tasks) > 1:
        tasks.append(None)
    rows, strong = [], set()
    for index, task in enumerate(tasks):
        items = [of[task, method] for method in methods]
        rows.append((task or "mean of tasks", *(_with_count(item) for item in items)))
        shown = {
            place: points(item.test.mean)
            for place, item in enumerate(items)
            if item.test.mean is not None
        }
        if len(shown) > 1:
            best = points(max(items[place].test.mean or 0 for place in shown))
            strong |= {(index, place + 1) for place, text in shown.items() if text == best}
    note = (
        f"{_interval(analysis)}, in percent of the test images. Bold: the highest mean of a row; "
        "this alone shows no difference."
    )
    if None in tasks:
        note += " The last row first takes the mean over tasks for each seed."
    return Grid(
        title=f"Test accuracy, {setting.space}, {setting.shots} shots",
        columns=("task", *methods),
        rows=tuple(rows),
        note=note,
        strong=frozenset(strong),
    )


def detail_tables(analysis: Analysis) -> list[Grid]:
    """Test and validation with every seed, one table a space and number of shots."""
    grids = []
    for setting in analysis.settings:
        items = [
            item
            for item in (*analysis.accuracies, *analysis.means)
            if item.setting == setting and (item.task or len(analysis.tasks) > 1)
        ]
        grids.append(
            Grid(
                title=f"Each seed, {setting.space}, {setting.shots} shots",
                columns=(
                    "task",
                    "strategy",
                    "seeds",
                    "test",
                    "each seed",
                    "macro-F1",
                    "validation",
                    "each seed",
                    "vectors",
                ),
                rows=tuple(
                    (
                        item.task or "mean of tasks",
                        item.strategy,
                        " ".join(map(str, item.seeds)) or NOTHING,
                        accuracy(item.test),
                        each(item.test),
                        accuracy(item.macro_f1),
                        accuracy(item.validation),
                        each(item.validation),
                        " ".join(f"{value:.4g}" for value in item.vectors) or NOTHING,
                    )
                    for item in items
                ),
                note=f"{_interval(analysis)}, in percent. Each seed: in the order of the seeds.",
                labels=2,
            )
        )
    return grids


def cost_table(analysis: Analysis) -> Grid:
    """The cost of the searches."""
    return Grid(
        title="Cost of the search",
        columns=(
            *_heads(analysis),
            "cells",
            "steps",
            "images",
            "time",
            "peak memory",
            "evaluations",
            "failed",
            "stopped by",
        ),
        rows=tuple(
            (
                *_names(analysis, cost.setting),
                cost.strategy,
                str(cost.cells),
                number(cost.steps),
                number(cost.images),
                time(cost.seconds),
                NOTHING if cost.peak_bytes is None else f"{cost.peak_bytes / 2**30:.2f} GiB",
                number(cost.evaluations),
                str(cost.failures),
                ", ".join(cost.stopped_by) or NOTHING,
            )
            for cost in analysis.costs
            # Nothing was searched for a reference.
            if cost.steps or cost.images or cost.seconds
        ),
        note="Steps, images, time and evaluations: means over tasks and seeds. Peak memory: the "
        "largest. Failed: the sum.",
        labels=len(_heads(analysis)),
    )


def found_table(analysis: Analysis) -> Grid:
    """The entropy at the end of the searches, and the agreement of the seeds' lengths."""
    rows = []
    for found in analysis.found:
        alike = found.agreement
        rows.append(
            (
                *_names(analysis, found.setting),
                found.task,
                found.strategy,
                _decimals(found.entropy),
                points(alike.equal) if alike else NOTHING,
                _decimals(alike.distance) if alike else NOTHING,
                _decimals(alike.correlation) if alike else NOTHING,
                str(alike.pairs) if alike else "0",
                f"{sum(map(sum, found.lengths.values())):.1f}",
            )
        )
    heads = _heads(analysis)
    return Grid(
        title="Decisiveness, and agreement between seeds",
        columns=(
            *heads[:-1],
            "task",
            "strategy",
            "entropy",
            "equal %",
            "distance",
            "correlation",
            "seed pairs",
            "vectors",
        ),
        rows=tuple(rows),
        note="Entropy: 0 decided, 1 undecided. The next three compare the lengths of two seeds, "
        "mean over pairs of seeds. Equal: share of layers with the same length. Distance: "
        "difference of lengths, mean over layers. Correlation: over layers, without seeds that "
        "have the same length everywhere.",
        labels=len(heads) + 1,
    )


def comparison_table(analysis: Analysis) -> Grid:
    """All pairwise tests."""
    made = next((item.comparisons for item in analysis.comparisons), 0)
    return Grid(
        title="Pairwise comparisons of test accuracy",
        columns=(
            "strategy",
            "against",
            "points",
            "t interval",
            "bootstrap",
            "over tasks",
            "p",
            "corrected p",
            "smallest",
            "effect",
            "pairs",
            "tasks led",
        ),
        rows=tuple(_comparison_row(item) for item in analysis.comparisons),
        note="Points: mean of the paired differences, with 95% intervals. Over tasks: t interval "
        "of the tasks' mean differences, for what to expect of another task. p: Wilcoxon's "
        f"signed-rank test. Corrected p: Holm's method over {counted(made, 'comparison')}. "
        "Smallest: the smallest possible corrected p. Effect: rank-biserial correlation. Both "
        "results of a pair share space, task, shots and seed; only complete pairs count. Pairs "
        "of one task are not independent, so the result holds for these tasks only. With few "
        "pairs, the bootstrap interval is too narrow.",
        labels=2,
    )


def _comparison_row(item: Comparison) -> tuple[str, ...]:
    return (
        item.first,
        item.second,
        points(item.difference.mean),
        ends(t_interval(item.differences)),
        ends(item.bootstrap),
        ends(t_interval(item.over_tasks.values)),
        p_value(item.test.p if item.test else None),
        p_value(item.corrected_p),
        p_value(item.smallest_p),
        _decimals(item.test.effect if item.test else None),
        f"{item.pairs} of {item.pairs + item.incomplete}",
        f"{item.ahead[0]} of {item.ahead[1]}" if item.pairs else NOTHING,
    )


def rank_table(analysis: Analysis) -> Grid:
    """Mean ranks, best first."""
    ranking = analysis.ranking
    order = sorted(ranking.mean, key=lambda name: ranking.mean[name])
    note = (
        f"1 is the best; ties share the mean of their ranks. Mean over "
        f"{counted(ranking.blocks, 'block')} of space, task, shots and seed"
    )
    if ranking.incomplete:
        note += f"; {counted(ranking.incomplete, 'block')} without all results left out"
    if ranking.absent:
        note += f"; strategies without any result: {', '.join(ranking.absent)}"
    return Grid(
        title="Mean rank by test accuracy",
        columns=("strategy", "mean rank", *(f"seed {seed}" for seed in ranking.seeds)),
        rows=tuple(
            (name, _decimals(ranking.mean[name]), *map(_decimals, ranking.by_seed[name]))
            for name in order
        ),
        note=f"{note}.",
    )


def failure_table(analysis: Analysis) -> Grid:
    """Cells that failed, and cells that are missing."""
    failed = [(cell.strategy, cell.block, cell.error or "") for cell in analysis.failed]
    failed += [(strategy, block, "not run") for strategy, block in analysis.missing]
    return Grid(
        title="Failed and missing cells",
        columns=("strategy", "task", "space", "shots", "seed", "why"),
        rows=tuple(
            (strategy, block.task, block.space, str(block.shots), str(block.seed), why)
            for strategy, block, why in failed
        ),
        labels=3,
    )


def markdown(grids: Iterable[Grid]) -> str:
    """Tables in GitHub's Markdown, each under its title in bold; empty ones are left out."""
    shown = [grid for grid in grids if grid.rows]
    following = [*(grid.note for grid in shown[1:]), ""]
    # Tables of one kind in a row are explained once, below the last.
    return "\n".join(
        _markdown(grid, "" if grid.note == after else grid.note)
        for grid, after in zip(shown, following, strict=True)
    )


def _markdown(grid: Grid, note: str) -> str:
    lines = [f"**{escape(grid.title)}**", ""]
    lines.append(_line(map(escape, grid.columns)))
    lines.append(
        _line("---" if index < grid.labels else "---:" for index in range(len(grid.columns)))
    )
    for row, texts in enumerate(grid.rows):
        lines.append(
            _line(
                f"**{text}**" if (row, column) in grid.strong else text
                for column, text in enumerate(map(escape, texts))
            )
        )
    if note:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def escape(text: str) -> str:
    """Escape ``text`` for Markdown; an underscore within a word is no markup."""
    text = make_printable(" ".join(text.split()))
    # On GitHub, $ begins a formula and & a named character.
    text = re.sub(r"[\\|*`\[$~]|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])", r"\\\g<0>", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    # Marks of headings, quotations and lists; a minus sign of a number is none.
    return re.sub(r"^(\d*)(?=[#>+.)-](?!\d))", r"\1\\", text)


def _interval(analysis: Analysis) -> str:
    if len(analysis.seeds) < 2:
        return "One seed"
    return (
        "Mean over seeds \N{PLUS-MINUS SIGN} half the width of its 95% confidence interval "
        "(Student's t)"
    )


def _with_count(item: Accuracy) -> str:
    text = accuracy(item.test)
    missing = 0 < item.test.count < item.expected
    return f"{text} ({item.test.count} of {item.expected})" if missing else text


def _decimals(value: float | None) -> str:
    return number(value, 2)


def _heads(analysis: Analysis) -> tuple[str, ...]:
    # If there is one setting only, it is not named in every row.
    return ("strategy",) if len(analysis.settings) == 1 else ("space", "shots", "strategy")


def _names(analysis: Analysis, setting: Setting) -> Sequence[str]:
    return () if len(analysis.settings) == 1 else (setting.space, str(setting.shots))
