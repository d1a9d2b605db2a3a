"""Strategies beside each other, as PNG: accuracy over the search, ranks, lengths, vectors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from dpl_nas.io.drawing import (
    GREY,
    TOWER_COLOURS,
    LineStyle,
    Look,
    literal,
    literal_text,
    looks,
    plain,
    save,
)
from dpl_nas.io.panels import (
    add_legend,
    finish_panel,
    label_figure,
    names_of,
    panel_grid,
    set_title,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

__all__ = ["Curve", "plot_anytime", "plot_length_maps", "plot_ranks", "plot_vectors"]

#: Pairs of steps and the best accuracy so far (a share in 0..1), in rising order of steps.
Curve = Sequence[tuple[int, float]]

#: The most layers in a row whose numbers in the map are legible.
_NUMBERED = 16
#: The colours of lengths: pale is short.
_SHADES = "viridis_r"
_GREY_MARKERS = ("+", "x", "1", "2")
_ACROSS: tuple[LineStyle, ...] = (":", "--", "-.")


@literal_text
def plot_anytime(panels: Mapping[str, Mapping[str, Sequence[Curve]]], path: Path) -> None:
    """Best validation accuracy so far against steps: mean over seeds, band from least to most.

    A value holds until the next better one, so lines are steps. A mean starts where all seeds
    have a value. A seed that stopped earlier keeps its last value.

    Parameters
    ----------
    panels
        Panels by title. Each has, by strategy, a curve a seed; empty curves are left out.

    Raises
    ------
    ValueError
        If there is no curve.
    OutputError
        If ``path`` cannot be written.
    """
    panels = {
        title: {name: kept for name, curves in lines.items() if (kept := [c for c in curves if c])}
        for title, lines in panels.items()
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        raise ValueError("there is nothing to plot: no curve has a point")
    names = names_of(panels.values())
    figure, axes = panel_grid(len(panels), height=2.5)
    styles = looks(names)
    for panel, (title, lines) in zip(axes, panels.items(), strict=False):
        last = max(curve[-1][0] for curves in lines.values() for curve in curves)
        for name, curves in lines.items():
            look = styles[name]
            steps, values = _held(curves)
            # The line goes on to the end of the search; a single point needs a mark.
            mean = 100 * values.mean(axis=0)
            panel.step(
                steps,
                mean,
                where="post",
                color=look.colour,
                linestyle=look.line,
                linewidth=1.8,
                marker=look.marker if len(steps) < 3 else None,
                markersize=5,
            )
            panel.plot(steps[-1], mean[-1], marker=look.marker, color=look.colour, markersize=5)
            if len(curves) > 1:
                panel.fill_between(
                    steps,
                    100 * values.min(axis=0),
                    100 * values.max(axis=0),
                    step="post",
                    color=look.colour,
                    alpha=0.15,
                    linewidth=0,
                )
        panel.set_xlim(0, 1.04 * max(last, 1))
        set_title(panel, title)
        finish_panel(panel)
    label_figure(figure, "steps", "best validation accuracy so far (%)")
    add_legend(figure, styles, lines=True)
    save(figure, path)


@literal_text
def plot_ranks(
    mean: Mapping[str, float], by_seed: Mapping[str, Sequence[float]], path: Path
) -> None:
    """Mean rank of each strategy, the best on top, with the mean of each seed as a small dot.

    Raises
    ------
    ValueError
        If there are no ranks.
    OutputError
        If ``path`` cannot be written.
    """
    if not mean:
        raise ValueError("there is nothing to plot: no strategy has a rank")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    order = sorted(mean, key=lambda name: mean[name], reverse=True)
    styles = looks(list(mean))
    figure = Figure(figsize=(6.4, 1.1 + 0.42 * len(order)), layout="constrained")
    panel = figure.subplots()
    for place, name in enumerate(order):
        colour = styles[name].colour
        seeds = by_seed.get(name, ())
        panel.plot([1, mean[name]], [place, place], color=colour, linewidth=1.2, alpha=0.4)
        panel.plot(
            seeds,
            [place] * len(seeds),
            linestyle="",
            marker="o",
            markersize=4.5,
            markerfacecolor="white",
            markeredgecolor=colour,
            zorder=3,
        )
        panel.plot(
            mean[name], place, marker="D", markersize=8, color=colour, alpha=0.85, zorder=2.5
        )
        panel.annotate(
            f"{mean[name]:.2f}",
            (max((mean[name], *seeds)), place),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    panel.set_yticks(range(len(order)), [literal(name) for name in order])
    panel.set_ylim(-0.6, len(order) - 0.4)
    panel.set_xlim(0.9, max(len(order), 2) + 0.35)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("mean rank by test accuracy (1 = best; small: single seeds)", fontsize=9)
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    plain(panel)
    save(figure, path)


@literal_text
def plot_length_maps(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], path: Path
) -> None:
    """Context lengths of every layer by strategy, mean over seeds; a column of maps a tower.

    Parameters
    ----------
    panels
        Panels by title. Each has, by strategy and tower, a mean length a searched layer.

    Raises
    ------
    ValueError
        If there are no lengths.
    OutputError
        If ``path`` cannot be written.
    """
    towers = [
        tower
        for tower in TOWER_COLOURS
        if any(lengths.get(tower) for maps in panels.values() for lengths in maps.values())
    ]
    if not towers:
        raise ValueError("there is nothing to plot: no strategy has lengths")
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    titles = list(panels)
    heights = [0.75 + 0.3 * len(panels[title]) for title in titles]
    layers = {
        tower: max(len(m.get(tower, ())) for maps in panels.values() for m in maps.values())
        for tower in towers
    }
    figure = Figure(
        figsize=(
            2.2 + sum(max(0.36 * count, 1.6) for count in layers.values()),
            sum(heights) + 0.6,
        ),
        layout="constrained",
    )
    grid = figure.subplots(
        len(titles),
        len(towers),
        squeeze=False,
        height_ratios=heights,
        width_ratios=[max(layers[tower], 4) for tower in towers],
    )
    every = [part for maps in panels.values() for m in maps.values() for part in m.values()]
    most = max((max(part) for part in every if part), default=0) or 1
    room = max(4 * layers[towers[0]] - 2, 16)
    for row, title in zip(grid, titles, strict=True):
        for index, (panel, tower) in enumerate(zip(row, towers, strict=True)):
            _map(panel, panels[title], tower, layers[tower], most)
            panel.set_title(
                f"{literal(title, room)}: {tower} tower" if index == 0 else f"{tower} tower",
                fontsize=9,
                loc="left",
                pad=4,
            )
            if index:
                panel.set_yticklabels([])
    for panel in grid[-1]:
        panel.set_xlabel("searched layer", fontsize=8)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, most), _SHADES), ax=grid[:, -1], shrink=0.9, aspect=25, pad=0.03
    )
    bar.set_label("mean context length", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(figure, path)


@literal_text
def plot_vectors(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]],
    path: Path,
    references: Sequence[str] = (),
) -> None:
    """Test accuracy against context vectors: small marks are seeds, lines join means of spaces.

    Parameters
    ----------
    panels
        Panels by title. Each has, by name and space, vectors and accuracy (a share in 0..1) of
        each seed.
    references
        Names that are drawn in grey; one without vectors is a line across the panel.

    Raises
    ------
    ValueError
        If there are no points.
    OutputError
        If ``path`` cannot be written.
    """
    panels = {
        title: shown
        for title, rows in panels.items()
        if (shown := {name: kept for name, spaces in rows.items() if (kept := _fill(spaces))})
    }
    if not panels:
        raise ValueError("there is nothing to plot: no cell has a test accuracy")
    names = names_of(panels.values())
    greys = cycle(_GREY_MARKERS)
    styles = looks([name for name in names if name not in references])
    lines = cycle(_ACROSS)
    figure, axes = panel_grid(len(panels), height=2.7)
    across: dict[str, LineStyle] = {}
    for panel, (title, rows) in zip(axes, panels.items(), strict=False):
        for name, spaces in rows.items():
            points = [point for seeds in spaces.values() for point in seeds]
            if name in references and all(vectors == 0 for vectors, _ in points):
                if name not in across:
                    across[name] = next(lines)
                panel.axhline(
                    100 * statistics.fmean(accuracy for _, accuracy in points),
                    color=GREY,
                    linestyle=across[name],
                    linewidth=1.2,
                )
                continue
            if name in references and name not in styles:
                styles[name] = Look(GREY, next(greys), "--")
            _budgets(panel, spaces, styles[name])
        panel.margins(x=0.08, y=0.1)
        set_title(panel, title)
        finish_panel(panel)
    label_figure(figure, "context vectors", "test accuracy (%)")
    add_legend(figure, styles, lines=False, across=across)
    save(figure, path)


def _budgets(panel: Axes, spaces: Mapping[str, Sequence[tuple[float, float]]], look: Look) -> None:
    means = sorted(
        tuple(statistics.fmean(column) for column in zip(*seeds, strict=True))
        for seeds in spaces.values()
    )
    filled = look.marker not in _GREY_MARKERS
    for seeds in spaces.values():
        panel.plot(
            [vectors for vectors, _ in seeds],
            [100 * accuracy for _, accuracy in seeds],
            linestyle="",
            marker=look.marker,
            markersize=4,
            color=look.colour,
            alpha=0.45,
            markeredgewidth=0 if filled else 1,
        )
    panel.plot(
        [vectors for vectors, _ in means],
        [100 * accuracy for _, accuracy in means],
        linestyle=look.line,
        linewidth=1.4,
        marker=look.marker,
        markersize=7,
        color=look.colour,
    )


def _held(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (points,) and the best value of each seed up to there (seeds, points)."""
    import numpy as np

    start = max(curve[0][0] for curve in curves)
    steps = sorted({step for curve in curves for step, _ in curve if step >= start})
    rows = []
    for curve in curves:
        at = np.array([step for step, _ in curve])
        best = np.maximum.accumulate([value for _, value in curve])
        rows.append(best[np.searchsorted(at, steps, side="right") - 1])
    return np.array(steps), np.array(rows)


def _map(
    panel: Axes,
    maps: Mapping[str, Mapping[str, Sequence[float]]],
    tower: str,
    layers: int,
    most: float,
) -> None:
    rows = [
        [*maps[name].get(tower, ()), *([math.nan] * (layers - len(maps[name].get(tower, ()))))]
        for name in maps
    ]
    panel.imshow(rows, cmap=_SHADES, vmin=0, vmax=most, aspect="auto", interpolation="none")
    if layers <= _NUMBERED:
        for place, row in enumerate(rows):
            for layer, length in enumerate(row):
                if math.isnan(length):
                    continue
                text = f"{length:.1f}".removesuffix(".0")
                panel.text(
                    layer,
                    place,
                    text,
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if 2 * length > most else "black",
                )
    panel.set_xticks(range(layers))
    panel.tick_params(labelsize=7, length=0)
    panel.set_yticks(range(len(rows)), [literal(name) for name in maps], fontsize=8)
    panel.spines[:].set_visible(False)


def _fill(
    spaces: Mapping[str, Sequence[tuple[float, float]]],
) -> dict[str, Sequence[tuple[float, float]]]:
    return {space: points for space, points in spaces.items() if points}
