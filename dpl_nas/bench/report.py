"""The files of a bench: its tables as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.tables import bench_tables, coop_half_width, latex, scores
from dpl_nas.comparison.tables import Grid, markdown
from dpl_nas.errors import OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import write_json, write_text
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.text import plain_cell

__all__ = ["write_bench"]


@checked(OutputError)
def write_bench(
    cells: Sequence[BenchCell], folder: AnyPath, *, published: bool = False, command: str = ""
) -> list[Grid]:
    """Write all tables of a bench into ``folder``, and return them.

    ``results.md`` and ``results.tex`` hold the tables, ``results.csv`` a row for each cell and
    test set, ``results.json`` the cells and their means.

    Parameters
    ----------
    published
        Whether figures of papers stand beside them.
    command
        Command that was typed.

    Raises
    ------
    OutputError
        If ``folder`` cannot be written.
    """
    folder = Path(folder)
    grids = [grid for grid in bench_tables(cells, published=published) if grid.rows]
    write_text(folder / "results.md", markdown(grids))
    write_text(folder / "results.tex", "\n".join(map(latex, grids)))
    write_text(folder / "results.csv", _csv(cells))
    write_json(
        folder / "results.json",
        {
            "command": command,
            "cells": [cell.model_dump(mode="json") for cell in cells],
            "scores": [
                {
                    "method": each.method,
                    "task": each.task,
                    "shots": each.shots,
                    "test": each.test,
                    "mean": each.over.mean,
                    "values": list(each.over.values),
                    "coop_half_width": coop_half_width(each.over.values),
                    "t_half_width": each.over.half_width,
                }
                for each in scores(cells)
            ],
        },
    )
    return grids


def _csv(cells: Sequence[BenchCell]) -> str:
    named = ["protocol", "method", "task", "shots", "seed", "test"]
    heads = [*named, "accuracy", "macro_f1", "parameters", "seconds", "peak_bytes", "error"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for cell in cells:
        head: list[Any] = [cell.protocol, cell.method, cell.task, cell.shots, cell.seed]
        cost = [cell.parameters, cell.seconds, cell.peak_bytes, cell.error or ""]
        # A cell that failed is a row, too.
        for test in cell.accuracy or [""]:
            shares = [cell.accuracy.get(test, ""), cell.macro_f1.get(test, "")]
            row = [*head, test, *shares, *cost]
            writer.writerow([plain_cell(each) if isinstance(each, str) else each for each in row])
    return stream.getvalue()
