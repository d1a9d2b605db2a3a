"""Accuracy of methods against the number of shots, as PNG."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.tables import scores
from dpl_nas.io.drawing import literal_text, looks, save
from dpl_nas.io.panels import (
    add_legend,
    finish_panel,
    label_figure,
    names_of,
    panel_grid,
    set_title,
)

__all__ = ["Curves", "plot_shots", "shot_curves"]

#: Accuracies of each seed, shares in 0..1, by method and number of shots.
Curves = Mapping[str, Mapping[int, Sequence[float]]]

_AVERAGE = "average"


def shot_curves(cells: Iterable[BenchCell]) -> dict[str, Curves]:
    """Return the curves of each task and test set, and of their average.

    Only methods that were tested with two numbers of shots or more have a curve. The average is a
    mean of each seed over all panels; a method that has no result in one of them has none.
    """
    panels: dict[str, dict[str, dict[int, Sequence[float]]]] = {}
    for each in scores(cells):
        title = each.task if each.test in ("all", each.task) else f"{each.task}: {each.test}"
        by_method = panels.setdefault(title, {})
        by_method.setdefault(each.method, {})[each.shots] = each.over.values
    found: dict[str, Curves] = {}
    for title, by_method in panels.items():
        lines = {name: line for name, line in by_method.items() if len(line) > 1}
        if lines:
            found[title] = lines
    average = _average(list(found.values())) if len(found) > 1 else {}
    return {_AVERAGE: average, **found} if average else found


def _average(panels: Sequence[Curves]) -> Curves:
    lines: dict[str, Mapping[int, Sequence[float]]] = {}
    for name in names_of(panels):
        if not all(name in panel for panel in panels):
            continue
        line: dict[int, Sequence[float]] = {}
        for shots in panels[0][name]:
            over = [panel[name].get(shots, ()) for panel in panels]
            # A seed that failed on one task would be the mean of others.
            if len({len(values) for values in over}) == 1 and over[0]:
                line[shots] = [statistics.fmean(values) for values in zip(*over, strict=True)]
        if len(line) > 1:
            lines[name] = line
    return lines


@literal_text
def plot_shots(panels: Mapping[str, Curves], path: Path) -> None:
    """Accuracy against shots: mean over seeds, and a band from the worst seed to the best.

    Parameters
    ----------
    panels
        Curves by the title of their panel: see :func:`shot_curves`.

    Raises
    ------
    ValueError
        If there is no curve.
    OutputError
        If ``path`` cannot be written.
    """
    if not panels:
        raise ValueError("there is nothing to plot: no method has two numbers of shots")
    from matplotlib.ticker import FixedLocator, NullLocator

    names = names_of(panels.values())
    styles = looks(names)
    figure, axes = panel_grid(len(panels), height=2.5)
    for panel, (title, lines) in zip(axes, panels.items(), strict=False):
        for name in names:
            if name not in lines:
                continue
            look, line = styles[name], lines[name]
            shots = sorted(line)
            panel.plot(
                shots,
                [100 * statistics.fmean(line[each]) for each in shots],
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                markersize=4,
                linewidth=1.4,
            )
            panel.fill_between(
                shots,
                [100 * min(line[each]) for each in shots],
                [100 * max(line[each]) for each in shots],
                color=look.colour,
                alpha=0.12,
                linewidth=0,
            )
        set_title(panel, title)
        finish_panel(panel)
        # Shots are doubled by custom, so equal steps are doublings.
        ticks = sorted({each for line in lines.values() for each in line})
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticklabels([str(each) for each in ticks])
    label_figure(figure, "shots", "accuracy (%)")
    add_legend(figure, styles, lines=True)
    save(figure, path)
