"""The trials of a search and what they validated at, as PNG: why the found lengths were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dpl_nas.engine import Evaluation, Outcome
from dpl_nas.engine.paired import standard_error
from dpl_nas.io.drawing import GREY, literal_text, plain, save
from dpl_nas.space import Architecture
from dpl_nas.validation_score import validation_score

__all__ = ["plot_trials"]

#: More rows than this cannot be read: the best of them are drawn.
_MOST = 30
_FOUND, _MANUAL, _OTHER = "#D55E00", "#0072B2", GREY


@literal_text
def plot_trials(
    trials: Sequence[Evaluation],
    designs: Mapping[str, Architecture],
    found: Architecture,
    path: Path,
    finals: Sequence[Evaluation] = (),
) -> None:
    """Draw the validation score of each trial with its standard error, the best on top.

    Where the single images are not known, there is no error.

    Parameters
    ----------
    trials
        Whole trials that ended well, the best first.
    designs
        Manual designs by name; their trials have another mark, and their names.
    found
        Architecture that was chosen; its trial is drawn even if it is not among the best.
    finals
        Trials with their outcomes on both halves of the shots, by which one was chosen.

    Raises
    ------
    ValueError
        If there are no trials.
    OutputError
        If ``path`` cannot be written.
    """
    well = [(each, each.outcome) for each in trials if each.outcome is not None]
    if not well:
        raise ValueError("there is nothing to plot: no trial ended well")
    shown = well[:_MOST]
    both = {each.architecture: each.outcome for each in finals if each.outcome is not None}
    shown += [each for each in well[_MOST:] if each[0].architecture in {found, *both}]
    names = {design: name for name, design in designs.items()}
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 1.2 + 0.24 * len(shown)), layout="constrained")
    panel = figure.subplots()
    labels = []
    marked: set[str] = set()
    for row, (each, outcome) in enumerate(shown):
        name = names.get(each.architecture)
        kind, colour, marker = ("other", _OTHER, "o")
        if name is not None:
            kind, colour, marker = ("manual design", _MANUAL, "s")
        if each.architecture == found:
            kind, colour = ("found", _FOUND)
        panel.errorbar(
            outcome.score,
            row,
            xerr=_error(outcome),
            color=colour,
            marker=marker,
            markersize=7 if kind == "found" else 5,
            linewidth=1.0,
            linestyle="none",
            label=None if kind in marked else kind,
        )
        marked.add(kind)
        if (joined := both.get(each.architecture)) is not None:
            panel.plot(
                joined.score,
                row,
                color=colour,
                marker="D",
                fillstyle="none",
                linestyle="none",
                label=None if "final" in marked else "final, on both halves of the shots",
            )
            marked.add("final")
        named = name or f"trial {each.number}, {each.architecture.vectors} vectors"
        labels.append(f"{named}: {outcome.accuracy:.1%}")
    panel.set_yticks(range(len(shown)), labels, fontsize=7)
    panel.invert_yaxis()
    images = shown[0][1].images
    panel.set_xlabel(f"accuracy + mean log-likelihood on {images} validation images", fontsize=9)
    panel.set_title("Trials of the search, with the standard error of each", fontsize=10)
    panel.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    panel.legend(fontsize=8, frameon=False, loc="lower right")
    plain(panel)
    save(figure, path)


def _error(outcome: Outcome) -> float | None:
    """The standard error of the score over the images."""
    if len(outcome.losses) < 2 or len(outcome.right) != len(outcome.losses):
        return None
    return standard_error(list(map(validation_score, outcome.right, outcome.losses)))
