"""The report of a comparison: JSON, CSV, pictures, and one HTML page that needs no network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dpl_nas.comparison.analysis import Analysis, analyse
from dpl_nas.comparison.cell import Cell
from dpl_nas.comparison.conclusions import caveats, conclusion, supported
from dpl_nas.comparison.formats import counted
from dpl_nas.comparison.tables import (
    accuracy_tables,
    comparison_table,
    cost_table,
    detail_tables,
    escape,
    failure_table,
    found_table,
    markdown,
    rank_table,
)
from dpl_nas.errors import OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import write_json, write_text
from dpl_nas.io.pages import PagePicture, render_page
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.text import plain_cell
from dpl_nas.io.versions import software_versions

__all__ = ["markdown_tables", "write_report"]

_PACKAGES = ("dpl_nas", "nni", "torch", "scipy", "numpy", "matplotlib")


@checked(OutputError)
def write_report(
    cells: Iterable[Cell],
    folder: AnyPath,
    baseline: str | None = None,
    *,
    command: str | None = None,
    versions: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Analysis:
    """Write all results of the cells into ``folder``, and return them.

    ``comparison.json`` holds all statistics and the cells, ``comparison.csv`` a row a cell,
    the PNG files the pictures, and ``report.html`` all of it on one page.

    Parameters
    ----------
    baseline, seed
        The parameters of :func:`dpl_nas.comparison.analysis.analyse`.
    command
        Command that was typed, shown at the end of the page.
    versions
        Versions of the software that ran; by default of what is installed here.

    Raises
    ------
    ComparisonError
        If the cells or the baseline make no comparison.
    OutputError
        If ``folder`` cannot be written.
    """
    folder = Path(folder)
    analysis = analyse(cells, baseline, seed=seed)
    versions = dict(software_versions(*_PACKAGES) if versions is None else versions)
    told = [
        {
            "first": item.first,
            "second": item.second,
            "supported": supported(item),
            "sentence": conclusion(item),
        }
        for item in analysis.comparisons
    ]
    write_json(
        folder / "comparison.json",
        {
            "command": command,
            "versions": versions,
            "conclusions": told,
            "caveats": caveats(analysis),
            **analysis.to_json(),
        },
    )
    write_text(folder / "comparison.csv", _csv(analysis.cells))
    pictures = _pictures(analysis, folder)
    write_text(folder / "report.html", _page(analysis, told, pictures, command, versions))
    return analysis


def markdown_tables(cells: Iterable[Cell], baseline: str | None = None, *, seed: int = 0) -> str:
    """Write accuracy, comparisons, ranks and cost as Markdown, and the conclusions as a list.

    Raises
    ------
    ComparisonError
        If the cells or the baseline make no comparison.
    """
    analysis = analyse(cells, baseline, seed=seed)
    grids = [
        *accuracy_tables(analysis),
        comparison_table(analysis),
        rank_table(analysis),
        cost_table(analysis),
    ]
    told = [*caveats(analysis), *map(conclusion, analysis.comparisons)]
    return f"{markdown(grids)}\n" + "".join(f"- {escape(sentence)}\n" for sentence in told)


def _csv(cells: Sequence[Cell]) -> str:
    stream = io.StringIO()
    rows = [cell.to_json() for cell in cells]
    for row in rows:
        del row["curve"]
        row["lengths"] = json.dumps(row["lengths"])
        for key, value in row.items():
            if isinstance(value, str):
                row[key] = plain_cell(value)
    writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _pictures(analysis: Analysis, folder: Path) -> list[PagePicture]:
    from dpl_nas.comparison.plots import plot_anytime, plot_length_maps, plot_ranks, plot_vectors

    made = []
    strategies = [cell for cell in analysis.cells if not cell.reference and cell.complete]
    if any(cell.curve for cell in strategies):
        plot_anytime(_curves(analysis, strategies), folder / "anytime.png")
        made.append(
            PagePicture(
                folder / "anytime.png",
                "Best validation accuracy so far",
                "Mean over seeds; the band reaches from the worst seed to the best.",
            )
        )
    if len(analysis.ranking.mean) > 1:
        plot_ranks(analysis.ranking.mean, analysis.ranking.by_seed, folder / "ranks.png")
        made.append(
            PagePicture(
                folder / "ranks.png",
                "Mean ranks",
                "Large dots: mean over seeds. Small dots: single seeds.",
            )
        )
    if any(cell.complete for cell in analysis.cells):
        plot_vectors(_points(analysis), folder / "vectors.png", analysis.references)
        made.append(
            PagePicture(
                folder / "vectors.png",
                "Test accuracy against context vectors",
                "Large marks: mean over seeds. Small marks: single seeds. Lines join the spaces.",
            )
        )
    for index, setting in enumerate(analysis.settings):
        maps: dict[str, dict[str, Mapping[str, Sequence[float]]]] = {}
        for found in analysis.found:
            if found.setting == setting and any(found.lengths.values()):
                maps.setdefault(found.task, {})[found.strategy] = found.lengths
        if maps:
            # A name of a space need not be a valid file name.
            file = "lengths.png" if len(analysis.settings) == 1 else f"lengths-{index + 1}.png"
            plot_length_maps(maps, folder / file)
            made.append(
                PagePicture(
                    folder / file,
                    f"Found lengths, {setting.space}, {setting.shots} shots",
                    "Context length of each searched layer, mean over seeds.",
                )
            )
    return made


def _curves(
    analysis: Analysis, cells: Sequence[Cell]
) -> dict[str, dict[str, list[list[tuple[int, float]]]]]:
    panels: dict[str, dict[str, list[list[tuple[int, float]]]]] = {}
    for task in analysis.tasks:
        for setting in analysis.settings:
            for name in analysis.strategies:
                curves = [
                    # The best value so far holds until the end of the search.
                    [
                        *((step, best) for step, _, best in cell.curve),
                        *((cell.steps, best) for _, _, best in cell.curve[-1:]),
                    ]
                    for cell in cells
                    if (cell.task, cell.strategy) == (task, name)
                    and (cell.space, cell.shots) == setting
                ]
                panels.setdefault(_panel(analysis, task, *setting), {})[name] = curves
    return panels


def _points(
    analysis: Analysis,
) -> dict[str, dict[str, dict[str, list[tuple[float, float]]]]]:
    several = len({setting.shots for setting in analysis.settings}) > 1
    panels: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for cell in analysis.cells:
        if cell.test_accuracy is None:
            continue
        title = f"{cell.task}, {cell.shots} shots" if several else cell.task
        rows = panels.setdefault(title, {name: {} for name in analysis.methods})
        rows[cell.strategy].setdefault(cell.space, []).append((cell.vectors, cell.test_accuracy))
    return panels


def _panel(analysis: Analysis, task: str, space: str, shots: int) -> str:
    if len(analysis.settings) == 1:
        return task
    several = len({setting.shots for setting in analysis.settings}) > 1
    return f"{task}\n{space}" + (f", {shots} shots" if several else "")


def _page(
    analysis: Analysis,
    told: Sequence[Mapping[str, Any]],
    pictures: Sequence[PagePicture],
    command: str | None,
    versions: Mapping[str, str],
) -> str:
    return render_page(
        "dpl_nas.comparison",
        "report.html.j2",
        summary=_summary(analysis),
        baseline=analysis.baseline,
        shown=[item["sentence"] for item in told if item["supported"]],
        not_shown=[item["sentence"] for item in told if not item["supported"]],
        caveats=caveats(analysis),
        accuracy=accuracy_tables(analysis),
        details=detail_tables(analysis),
        cost=cost_table(analysis),
        found=found_table(analysis),
        comparisons=comparison_table(analysis),
        ranks=rank_table(analysis),
        failures=failure_table(analysis),
        pictures=pictures,
        command=command,
        versions=versions,
    )


def _summary(analysis: Analysis) -> str:
    strategies = len(analysis.strategies)
    complete = sum(cell.complete for cell in analysis.cells)
    return ", ".join(
        (
            counted(len(analysis.tasks), "task"),
            counted(len({setting.space for setting in analysis.settings}), "space"),
            f"{strategies} {'strategy' if strategies == 1 else 'strategies'}",
            counted(len(analysis.references), "reference"),
            counted(len(analysis.seeds), "seed"),
            f"{complete} of {len(analysis.cells) + len(analysis.missing)} cells complete",
        )
    )
