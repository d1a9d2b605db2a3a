"""The found lengths, and the search that led to them, as PNG."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpl_nas.io.drawing import GREY, TOWER_COLOURS, literal, literal_text, plain, save
from dpl_nas.runs.reasons import likeliest
from dpl_nas.space import Architecture

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

__all__ = ["alphas_figure", "architecture_figure", "plot_alphas", "plot_architecture"]

#: The most panels side by side for one tower.
_COLUMNS = 4
#: Inches of a line of a caption, and its letters an inch.
_LINE, _LETTERS = 0.17, 14


@literal_text
def plot_architecture(
    architecture: Architecture, path: Path, title: str = "", caption: str = ""
) -> None:
    """Write :func:`architecture_figure` as PNG.

    Raises
    ------
    OutputError
        If ``path`` cannot be written.
    """
    save(architecture_figure(architecture, title, caption), path)


def architecture_figure(architecture: Architecture, title: str = "", caption: str = "") -> Figure:
    """Draw bars of context length by layer, a panel a tower, with the number at each bar.

    Parameters
    ----------
    title
        Headline; the space and the number of vectors by default.
    caption
        Sentences below the panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    towers = list(architecture.lengths)
    layers = max(len(part) for part in architecture.layers.values())
    width = max(1.6 + 0.36 * layers, 4.0) * len(towers)
    told = _wrapped(caption, width)
    figure = Figure(figsize=(width, 2.9 + _LINE * len(told)), layout="constrained")
    figure.suptitle(
        literal(title, 120)
        or f"{literal(architecture.space)}: {architecture.vectors} context vectors",
        fontsize=11,
        fontweight="bold",
    )
    panels = figure.subplots(1, len(towers), sharey=True, squeeze=False)[0]
    tallest = max((max(lengths) for lengths in architecture.lengths.values()), default=1)
    for panel, tower in zip(panels, towers, strict=True):
        lengths = architecture.lengths[tower]
        # Skipped layers leave a gap: the axis counts all layers of the tower.
        places = list(architecture.layers[tower])
        bars = panel.bar(places, lengths, width=0.72, color=TOWER_COLOURS[tower])
        panel.bar_label(bars, labels=[str(length) for length in lengths], padding=2, fontsize=9)
        panel.set_title(f"{tower} tower, {sum(lengths)} vectors", fontsize=10)
        panel.set_xlabel("layer")
        panel.set_xticks(places)
        panel.tick_params(axis="x", length=0)
        panel.set_ylim(0, max(tallest, 1) * 1.15)
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        plain(panel)
    panels[0].set_ylabel("context length")
    if told:
        figure.supxlabel("\n".join(told), fontsize=8, color=GREY)
    return figure


@literal_text
def plot_alphas(
    records: Sequence[Mapping[str, Any]],
    lengths: Mapping[str, Sequence[int]],
    path: Path,
    found: Architecture | None = None,
    caption: str = "",
) -> None:
    """Write :func:`alphas_figure` as PNG.

    Raises
    ------
    ValueError
        If there are no records.
    OutputError
        If ``path`` cannot be written.
    """
    save(alphas_figure(records, lengths, found, caption), path)


def alphas_figure(
    records: Sequence[Mapping[str, Any]],
    lengths: Mapping[str, Sequence[int]],
    found: Architecture | None = None,
    caption: str = "",
) -> Figure:
    """Draw the probabilities of the candidates over the epochs of a search, a panel a layer.

    The final choice is drawn thick, ends with a dot and is named in the panel's title, with the
    most likely length if that is another. The panels below show the validation accuracy of the
    choice, and the mean entropy of the layers (1 = undecided).

    Parameters
    ----------
    records
        Lines of ``alphas.jsonl``.
    lengths
        Candidate lengths of each tower, in the order of the logits.
    found
        Final choice; by default that of the last record.
    caption
        Sentences at the bottom.

    Raises
    ------
    ValueError
        If there are no records.
    """
    if not records:
        raise ValueError("there is nothing to plot: the search has no complete epoch")
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    choice = dict(records[-1]["choice"])
    if found is not None:
        choice = {f"{tower}/{layer}": length for tower, layer, length in found.items()}
    towers = [tower for tower in lengths if any(_layers(records, tower))]
    rows = max(math.ceil(len(_layers(records, tower)) / _COLUMNS) for tower in towers)
    width = 6.0 * len(towers)
    told = _wrapped(caption, width)
    heights = [1.35 * rows + 0.7, 2.4, *([0.1 + _LINE * len(told)] if told else [])]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    above, below = parts[:2]
    colours = colormaps["viridis_r"]
    longest = max(max(lengths[tower]) for tower in towers)
    top = max(max(_softmax(logits)) for record in records for logits in record["alpha"].values())
    likely = likeliest(records[-1]["alpha"], lengths, choice)
    sides = above.subfigures(1, len(towers), squeeze=False)[0]
    for side, tower in zip(sides, towers, strict=True):
        _panels(side, records, choice, likely, tower, lengths[tower], rows, top, colours, longest)
    _legend(above, sorted({c for tower in towers for c in lengths[tower]}), colours, longest)
    _curves(below, records)
    if told:
        parts[2].text(0.5, 0.5, "\n".join(told), ha="center", va="center", fontsize=9, color=GREY)
    return figure


def _panels(
    part: SubFigure,
    records: Sequence[Mapping[str, Any]],
    choice: Mapping[str, int],
    likely: Mapping[str, int],
    tower: str,
    lengths: Sequence[int],
    rows: int,
    top: float,
    colours: Colormap,
    longest: int,
) -> None:
    part.suptitle(f"{tower} tower", fontsize=11, fontweight="bold", color=TOWER_COLOURS[tower])
    grid = part.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    epochs = [record["epoch"] for record in records]
    labels = _layers(records, tower)
    for index, panel in enumerate(grid.flat):
        if index >= len(labels):
            panel.set_axis_off()
            continue
        label = labels[index]
        chosen = choice[label]
        probabilities = [_softmax(record["alpha"][label]) for record in records]
        for place, length in enumerate(lengths):
            final = length == chosen
            panel.plot(
                epochs,
                [row[place] for row in probabilities],
                color=colours(_shade(length, longest)),
                linewidth=2.2 if final else 0.9,
                zorder=3 if final else 2,
                marker="o" if final else None,
                markevery=[-1],
                markersize=5,
            )
        tied = " (tied)" if label in records[-1].get("ties", ()) else ""
        if chosen != likely[label]:
            tied = f" (likely {likely[label]})"
        panel.set_title(f"layer {label.split('/')[1]}: {chosen}{tied}", fontsize=8, pad=2)
        panel.set_ylim(0, min(top * 1.08, 1.02))
        panel.tick_params(labelsize=7)
        plain(panel)
    part.supxlabel("epoch", fontsize=8)
    part.supylabel("probability", fontsize=8)


def _legend(part: SubFigure, lengths: Sequence[int], colours: Colormap, longest: int) -> None:
    from matplotlib.lines import Line2D

    part.legend(
        handles=[
            Line2D([], [], color=colours(_shade(length, longest)), linewidth=2.2, label=str(length))
            for length in lengths
        ],
        title="context length (thick, with a dot: chosen)",
        loc="outside upper center",
        ncols=len(lengths),
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _curves(part: SubFigure, records: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import MaxNLocator

    left, right = part.subplots(1, 2)
    epochs = [record["epoch"] for record in records]
    marker = "o" if len(epochs) == 1 else None
    accuracy = [100 * record["validation_accuracy"] for record in records]
    left.plot(epochs, accuracy, color=GREY, linewidth=1.6, marker=marker)
    left.set_title("validation accuracy of the choice (%)", fontsize=9)
    right.plot(
        epochs,
        [record["mean_entropy"] for record in records],
        color="black",
        linewidth=1.8,
        marker=marker,
        label="all layers",
    )
    for tower, colour in TOWER_COLOURS.items():
        labels = [label for label in records[-1]["entropy"] if label.startswith(f"{tower}/")]
        if labels:
            values = [sum(r["entropy"][label] for label in labels) / len(labels) for r in records]
            right.plot(epochs, values, color=colour, linewidth=1.0, label=tower, marker=marker)
    right.set_title("mean entropy of the layers (1 = undecided)", fontsize=9)
    right.set_ylim(0, 1.05)
    right.legend(fontsize=8, frameon=False)
    for panel in (left, right):
        panel.set_xlabel("epoch", fontsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.tick_params(labelsize=8)
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
        plain(panel)


def _wrapped(caption: str, width: float) -> list[str]:
    """The lines of a caption of a figure that is so many inches wide."""
    return textwrap.wrap(literal(caption, 400), round(width * _LETTERS))


def _layers(records: Sequence[Mapping[str, Any]], tower: str) -> list[str]:
    return [label for label in records[-1]["choice"] if label.startswith(f"{tower}/")]


def _shade(length: int, longest: int) -> float:
    # The palest tenth of the colour map could not be seen on white.
    return 0.1 + 0.9 * length / max(longest, 1)


def _softmax(logits: Sequence[float]) -> list[float]:
    peak = max(logits)
    weights = [math.exp(value - peak) for value in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
