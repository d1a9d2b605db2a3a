"""The files of a bench: tables as Markdown, LaTeX, CSV and JSON, and one page of HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.tables import BenchTables, bench_tables, coop_half_width, latex, scores
from dpl_nas.comparison.formats import counted
from dpl_nas.comparison.tables import markdown
from dpl_nas.errors import OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import write_json, write_text
from dpl_nas.io.pages import PagePicture, render_page
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.text import plain_cell
from dpl_nas.io.versions import software_versions

__all__ = ["write_bench"]

_PACKAGES = ("dpl_nas", "torch", "torchvision", "open_clip_torch", "scikit-learn")


@checked(OutputError)
def write_bench(
    cells: Sequence[BenchCell],
    folder: AnyPath,
    *,
    published: bool = False,
    baseline: str | None = None,
    command: str = "",
) -> BenchTables:
    """Write all tables of a bench into ``folder``, and return them.

    ``results.md`` and ``results.tex`` hold the tables, ``results.csv`` a row for each cell and
    test set, ``results.json`` the cells and their means. ``report.html`` has the tables and, with
    two numbers of shots or more, the curves of ``shots.png``.

    Parameters
    ----------
    published
        Whether figures of papers stand beside them.
    baseline
        Method that all others are compared with, pair by pair.
    command
        Command that was typed.

    Raises
    ------
    BenchError
        If the baseline is not in the bench.
    OutputError
        If ``folder`` cannot be written.
    """
    folder = Path(folder)
    tables = bench_tables(cells, published=published, baseline=baseline)
    versions = software_versions(*_PACKAGES)
    write_text(folder / "results.md", markdown(tables.all))
    write_text(folder / "results.tex", "\n".join(map(latex, tables.all)))
    write_text(folder / "results.csv", _csv(cells))
    write_json(
        folder / "results.json",
        {
            "command": command,
            "versions": versions,
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
    write_text(
        folder / "report.html", _page(cells, tables, _pictures(cells, folder), command, versions)
    )
    return tables


def _pictures(cells: Sequence[BenchCell], folder: Path) -> list[PagePicture]:
    from dpl_nas.bench.plots import plot_shots, shot_curves

    file = folder / "shots.png"
    curves = shot_curves(cells)
    if not curves:
        # That of an earlier command, with other shots, must not stay.
        file.unlink(missing_ok=True)
        return []
    plot_shots(curves, file)
    note = "Mean over seeds; the band reaches from the worst seed to the best."
    return [PagePicture(file, "Accuracy against the number of shots", note)]


def _page(
    cells: Sequence[BenchCell],
    tables: BenchTables,
    pictures: Sequence[PagePicture],
    command: str,
    versions: Mapping[str, str],
) -> str:
    summary = ", ".join(
        (
            counted(len({cell.method for cell in cells}), "method"),
            counted(len({cell.task for cell in cells}), "task"),
            counted(len({cell.seed for cell in cells}), "seed"),
            f"{sum(cell.error is None for cell in cells)} of {len(cells)} cells complete",
        )
    )
    return render_page(
        "dpl_nas.bench",
        "report.html.j2",
        protocol=cells[0].protocol,
        summary=summary,
        tables=tables,
        pictures=pictures,
        command=command,
        versions=versions,
    )


def _csv(cells: Sequence[BenchCell]) -> str:
    named = ["protocol", "method", "task", "shots", "seed", "test"]
    heads = [
        *named,
        "accuracy",
        "macro_f1",
        "parameters",
        "seconds",
        "peak_bytes",
        "settings",
        "error",
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for cell in cells:
        head: list[Any] = [cell.protocol, cell.method, cell.task, cell.shots, cell.seed]
        cost = [cell.parameters, cell.seconds, cell.peak_bytes, cell.settings, cell.error or ""]
        # A cell that failed is a row, too.
        for test in cell.accuracy or [""]:
            shares = [cell.accuracy.get(test, ""), cell.macro_f1.get(test, "")]
            row = [*head, test, *shares, *cost]
            writer.writerow([plain_cell(each) if isinstance(each, str) else each for each in row])
    return stream.getvalue()
