"""Comparisons of many runs: statistics, conclusions and a report."""

from __future__ import annotations

from dpl_nas.comparison.analysis import Analysis, analyse
from dpl_nas.comparison.cell import Cell, read_cells, write_cells
from dpl_nas.comparison.conclusions import caveats, conclusion
from dpl_nas.comparison.report import markdown_tables, write_report
from dpl_nas.comparison.runner import Plan, run_cells

__all__ = [
    "Analysis",
    "Cell",
    "Plan",
    "analyse",
    "caveats",
    "conclusion",
    "markdown_tables",
    "read_cells",
    "run_cells",
    "write_cells",
    "write_report",
]
