"""A comparison at the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dpl_nas.cli.tables import table
from dpl_nas.comparison.analysis import Analysis
from dpl_nas.comparison.conclusions import caveats, conclusion
from dpl_nas.comparison.tables import Grid, accuracy_tables, cost_table, failure_table, rank_table

__all__ = ["as_table", "show_comparison"]


def show_comparison(console: Console, analysis: Analysis) -> None:
    """Accuracy, ranks, cost and failures as tables, then what may be concluded."""
    grids = [
        *accuracy_tables(analysis),
        *([rank_table(analysis)] if len(analysis.ranking.mean) > 1 else []),
        cost_table(analysis),
        failure_table(analysis),
    ]
    for grid in grids:
        if grid.rows:
            console.print(as_table(grid))
    for sentence in (*caveats(analysis), *map(conclusion, analysis.comparisons)):
        console.print(Text(f"* {sentence}"), highlight=False)


def as_table(grid: Grid) -> Table:
    """A table of a report as one of the terminal; brackets in names are no markup."""
    # The title is added as it is: table() takes markup.
    shown = table(*([""] * len(grid.columns)))
    shown.title = Text(grid.title, style="bold")
    for index, (column, name) in enumerate(zip(shown.columns, grid.columns, strict=True)):
        column.header = Text(name)
        column.justify = "left" if index < grid.labels else "right"
    if grid.columns[-1] == "why":
        shown.columns[-1].justify = "left"
        shown.columns[-1].no_wrap = False
    for row, texts in enumerate(grid.rows):
        shown.add_row(
            *(
                Text(text, style="bold" if (row, column) in grid.strong else "")
                for column, text in enumerate(texts)
            )
        )
    return shown
