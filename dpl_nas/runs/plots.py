"""The found lengths, and the search that led to them, as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpl_nas.io.drawing import GREY, TOWER_COLOURS, literal, literal_text, plain, save
from dpl_nas.space import Architecture

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import SubFigure

__all__ = ["plot_alphas", "plot_architecture"]

#: The most panels side by side for one tower.
_COLUMNS = 4


@literal_text
def plot_architecture(architecture: Architecture, path: Path, title: str = "") -> None:
    """Draw bars of context length by layer, a panel a tower, with the number at each bar.

    Parameters
    ----------
    title
        Headline; the space and the number of vectors by default.

    Raises
    ------
    OutputError
        If ``path`` cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    towers = list(architecture.lengths)
    layers = max(len(part) for part in architecture.layers.values())
    figure = Figure(
        figsize=(max(1.6 + 0.36 * layers, 4.0) * len(towers), 2.9), layout="constrained"
    )
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
    save(figure, path)


@literal_text
def plot_alphas(
    records: Sequence[Mapping[str, Any]],
    lengths: Mapping[str, Sequence[int]],
    path: Path,
    found: Architecture | None = None,
) -> None:
    """Draw the probabilities of the candidates over the epochs of a search, a panel a layer.

    The final choice is drawn thick and named in the panel's title, with the most likely length if
    a shortlist has chosen another. The panels below show the validation accuracy of the choice,
    and the mean entropy of the layers (1 = undecided).

    Parameters
    ----------
    records
        Lines of ``alphas.jsonl``.
    lengths
        Candidate lengths of each tower, in the order of the logits.
    found
        Final choice; by default the most likely lengths of the last record.

    Raises
    ------
    ValueError
        If there are no records.
    OutputError
        If ``path`` cannot be written.
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
    figure = Figure(figsize=(6.0 * len(towers), 1.35 * rows + 3.1), layout="constrained")
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.35 * rows + 0.7, 2.4])
    above, below = halves[:, 0]
    colours = colormaps["viridis_r"]
    longest = max(max(lengths[tower]) for tower in towers)
    top = max(max(_softmax(logits)) for record in records for logits in record["alpha"].values())
    parts = above.subfigures(1, len(towers), squeeze=False)[0]
    for part, tower in zip(parts, towers, strict=True):
        _panels(part, records, choice, tower, lengths[tower], rows, top, colours, longest)
    _legend(above, sorted({c for tower in towers for c in lengths[tower]}), colours, longest)
    _curves(below, records)
    save(figure, path)


def _panels(
    part: SubFigure,
    records: Sequence[Mapping[str, Any]],
    choice: Mapping[str, int],
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
        chosen, likely = choice[label], records[-1]["choice"][label]
        probabilities = [_softmax(record["alpha"][label]) for record in records]
        for place, length in enumerate(lengths):
            final = length == chosen
            panel.plot(
                epochs,
                [row[place] for row in probabilities],
                color=colours(_shade(length, longest)),
                linewidth=2.2 if final else 0.9,
                zorder=3 if final else 2,
                marker="o" if final and len(epochs) == 1 else None,
            )
        tied = " (tied)" if label in records[-1].get("ties", ()) else ""
        if chosen != likely:
            tied = f" (likely {likely})"
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
        title="context length (thick: chosen)",
        loc="outside upper center",
        ncols=len(lengths),
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _curves(part: SubFigure, records: Sequence[Mapping[str, Any]]) -> None:
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
        panel.tick_params(labelsize=8)
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
        plain(panel)


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
