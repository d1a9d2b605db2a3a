from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dpl_nas.comparison.plots import (
    Curve,
    _held,
    plot_anytime,
    plot_length_maps,
    plot_ranks,
    plot_vectors,
)
from dpl_nas.errors import OutputError
from dpl_nas.io.drawing import literal, looks

CURVES: list[Curve] = [[(0, 0.2), (50, 0.5)], [(0, 0.3), (100, 0.4)], []]
ODD = r"_a $b$ \frac{ <i> " + "long" * 20


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
        return picture.format == "PNG" and colours is not None and len(colours) > 10


def test_curves_hold_their_values() -> None:
    steps, values = _held([[(0, 0.2), (50, 0.5)], [(10, 0.3), (100, 0.25), (120, 0.6)]])
    # It starts where both have begun; what is worse than before is not the best so far.
    assert steps.tolist() == [10, 50, 100, 120]
    assert values.tolist() == [[0.2, 0.5, 0.5, 0.5], [0.3, 0.3, 0.3, 0.6]]


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 50), st.floats(0, 1)),
            min_size=1,
            unique_by=lambda point: point[0],
        ).map(sorted),
        min_size=1,
        max_size=4,
    )
)
def test_curves_never_fall(curves: list[list[tuple[int, float]]]) -> None:
    steps, values = _held(curves)
    assert (np.diff(steps) > 0).all()
    assert (np.diff(values, axis=1) >= 0).all()
    assert values[:, -1].tolist() == [max(value for _, value in curve) for curve in curves]


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_anytime(tmp_path: Path, count: int) -> None:
    panels = {f"task {n}": {"darts": CURVES, ODD: CURVES[:1]} for n in range(count)}
    plot_anytime(panels, tmp_path / "deep" / "anytime.png")
    assert is_picture(tmp_path / "deep" / "anytime.png")


def test_a_curve_of_one_point(tmp_path: Path) -> None:
    plot_anytime({ODD: {"darts": [[(0, 0.5)]]}}, tmp_path / "anytime.png")
    assert is_picture(tmp_path / "anytime.png")


def test_ranks(tmp_path: Path) -> None:
    plot_ranks({"darts": 1.5, ODD: 1.5}, {"darts": [1, 2], ODD: [2, 1]}, tmp_path / "ranks.png")
    assert is_picture(tmp_path / "ranks.png")


@pytest.mark.parametrize("layers", [1, 12, 30])
def test_length_maps(tmp_path: Path, layers: int) -> None:
    maps = {"darts": {"image": [2.5] * layers, "text": [0.0] * 3}, ODD: {"image": [1] * layers}}
    plot_length_maps({"digits": maps, ODD: maps}, tmp_path / "lengths.png")
    assert is_picture(tmp_path / "lengths.png")


def test_no_context_anywhere(tmp_path: Path) -> None:
    plot_length_maps({"digits": {"darts": {"text": [0, 0]}}}, tmp_path / "lengths.png")
    assert is_picture(tmp_path / "lengths.png")


def test_vectors(tmp_path: Path) -> None:
    rows = {
        "darts": {"small": [(6, 0.8), (5, 0.7)], "large": [(12, 0.9)]},
        ODD: {"small": [(6, 0.6)]},
        "4 everywhere": {"small": [(8, 0.7)]},
        "zero-shot": {"small": [(0, 0.5)]},
        "nothing": {"small": []},
    }
    plot_vectors({"digits": rows, ODD: rows}, tmp_path / "v.png", ["4 everywhere", "zero-shot"])
    assert is_picture(tmp_path / "v.png")


def test_nothing_to_plot(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    with pytest.raises(ValueError, match="no curve has a point"):
        plot_anytime({"digits": {"darts": [[]]}}, path)
    with pytest.raises(ValueError, match="no strategy has a rank"):
        plot_ranks({}, {}, path)
    with pytest.raises(ValueError, match="no strategy has lengths"):
        plot_length_maps({"digits": {"darts": {"image": []}}}, path)
    with pytest.raises(ValueError, match="no cell has a test accuracy"):
        plot_vectors({"digits": {"darts": {"small": []}}}, path)
    assert not path.exists()


def test_nowhere_to_plot(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        plot_ranks({"darts": 1}, {}, tmp_path / "file" / "ranks.png")


def test_looks_can_be_told_apart() -> None:
    names = [str(n) for n in range(63)]
    assert len({(look.colour, look.marker) for look in looks(names).values()}) == 63


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$a$", "$a$"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("_x", " _x"),
        ("x" * 9, "x" * 9),
        ("x" * 12, "x" * 9),
    ],
)
def test_literal(text: str, shown: str) -> None:
    assert literal(text, 10).removesuffix("\N{HORIZONTAL ELLIPSIS}") == shown
