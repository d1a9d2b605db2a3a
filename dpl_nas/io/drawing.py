"""Common parts of all figures: a plain look, distinct markers, and saving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec

from dpl_nas.io.files import atomic_path
from dpl_nas.io.text import make_printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GREY",
    "TOWER_COLOURS",
    "LineStyle",
    "Look",
    "literal",
    "literal_text",
    "looks",
    "plain",
    "save",
]

_P = ParamSpec("_P")

LineStyle = Literal["-", "--", "-.", ":"]

GREY = "#555555"
_DOTS_PER_INCH = 150
# From the palette of Okabe and Ito, which colour-blind readers can tell apart.
TOWER_COLOURS = {"image": "#0072B2", "text": "#D55E00"}
#: The rest of the palette but for yellow, which is too pale for lines on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: More markers than colours, so that pairs repeat only after 63 names.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LINES: tuple[LineStyle, ...] = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Look:
    """The look of one strategy, the same in every figure."""

    colour: str
    marker: str
    line: LineStyle


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name; beyond seven names, markers distinguish equal colours."""
    return {
        name: Look(
            _COLOURS[index % len(_COLOURS)],
            _MARKERS[index % len(_MARKERS)],
            _LINES[index // len(_COLOURS) % len(_LINES)],
        )
        for index, name in enumerate(names)
    }


def literal_text(plot: Callable[_P, None]) -> Callable[_P, None]:
    """Make ``plot`` draw every text literally: a dollar in a name begins no formula.

    TeX settings in a user's own ``matplotlibrc`` are ignored too.
    """

    @wraps(plot)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> None:
        from matplotlib import rc_context

        with rc_context(
            {
                "text.parse_math": False,
                "text.usetex": False,
                "axes.formatter.use_mathtext": False,
            }
        ):
            plot(*args, **kwargs)

    return drawn


def literal(text: str, width: int = 40) -> str:
    """Prepare a name for :func:`literal_text`: matplotlib drops labels that begin with ``_``.

    Lines longer than ``width`` characters are cut.
    """
    text = "\n".join(
        line if len(line) <= width else f"{line[: width - 1]}\N{HORIZONTAL ELLIPSIS}"
        for line in map(make_printable, text.split("\n"))
    )
    return f" {text}" if text.startswith("_") else text


def plain(panel: Axes) -> None:
    """Hide the top and right axis lines."""
    panel.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Save the figure as PNG, atomically.

    Raises
    ------
    OutputError
        If ``path`` cannot be written.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)
