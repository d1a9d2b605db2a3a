"""Panels of a figure side by side, with one legend and common labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dpl_nas.io.drawing import GREY, LineStyle, Look, literal, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["add_legend", "finish_panel", "label_figure", "names_of", "panel_grid", "set_title"]

_COLUMNS = 3
#: The most characters of a panel's title.
_TITLE = 34


def names_of(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """All names of several panels, each once, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def panel_grid(count: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, each ``height`` inches high."""
    from matplotlib.figure import Figure

    # Four panels are two by two.
    columns = 2 if count == 4 else min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(
        figsize=(max(3.1 * columns, 5.2) + 0.4, height * rows + 0.9), layout="constrained"
    )
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in axes[count:]:
        panel.set_axis_off()
    return figure, axes


def set_title(panel: Axes, title: str) -> None:
    """Give a panel its title; what is too long is shortened."""
    panel.set_title(literal(title, _TITLE), fontsize=9)


def finish_panel(panel: Axes) -> None:
    """Give a panel whole numbers below, and a pale grid."""
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.tick_params(labelsize=8)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    plain(panel)


def label_figure(figure: Figure | SubFigure, x: str, y: str) -> None:
    """Label both axes, once for all panels."""
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)


def add_legend(
    figure: Figure,
    styles: Mapping[str, Look],
    *,
    lines: bool,
    across: Mapping[str, LineStyle] | None = None,
) -> None:
    """Add one legend above all panels.

    Parameters
    ----------
    styles
        Look of each name.
    lines
        Whether its line is what matters, rather than its mark.
    across
        Grey lines that cross the panels, by name.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            linestyle=look.line,
            linewidth=1.8 if lines else 1.4,
            marker=look.marker,
            label=literal(name),
        )
        for name, look in styles.items()
    ]
    handles += [
        Line2D([], [], color=GREY, linestyle=line, linewidth=1.2, label=literal(name))
        for name, line in (across or {}).items()
    ]
    # The number of labels that surely fit side by side.
    widest = max(len(str(handle.get_label())) for handle in handles)
    room = max(int(figure.get_figwidth() / (0.55 + 0.075 * widest)), 1)
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=math.ceil(len(handles) / math.ceil(len(handles) / room)),
        fontsize=8,
        frameon=False,
        columnspacing=1.4,
    )
