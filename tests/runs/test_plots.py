from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from dpl_nas.errors import OutputError
from dpl_nas.runs.plots import (
    alphas_figure,
    architecture_figure,
    plot_alphas,
    plot_architecture,
)
from dpl_nas.space import Space

SPACE = Space.model_validate(
    {
        "name": "small",
        "towers": {
            "image": {"layers": [0, 2, 3, 5, 6], "lengths": [0, 2]},
            "text": {"layers": [0], "lengths": [0, 1, 4]},
        },
    }
)
LENGTHS = {tower: part.lengths for tower, part in SPACE.towers.items()}


def record(epoch: int, space: Space = SPACE) -> dict[str, Any]:
    alpha = {
        label: [0.1 * epoch * place for place in range(len(space.towers[tower].lengths))]
        for label, tower, _ in space.labels()
    }
    return {
        "epoch": epoch,
        "validation_accuracy": 0.5,
        "mean_entropy": 1 / epoch,
        "entropy": dict.fromkeys(alpha, 1 / epoch),
        "choice": {label: space.towers[tower].lengths[-1] for label, tower, _ in space.labels()},
        "ties": [next(iter(alpha))],
        "alpha": alpha,
    }


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
        return picture.format == "PNG" and colours is not None and len(colours) > 10


@pytest.mark.parametrize("length", [0, 2])
def test_architecture(tmp_path: Path, length: int) -> None:
    plot_architecture(SPACE.uniform(length), tmp_path / "deep" / "architecture.png")
    assert is_picture(tmp_path / "deep" / "architecture.png")


@pytest.mark.parametrize("epochs", [1, 5])
def test_alphas(tmp_path: Path, epochs: int) -> None:
    records = [record(epoch) for epoch in range(1, epochs + 1)]
    plot_alphas(records, LENGTHS, tmp_path / "alphas.png")
    assert is_picture(tmp_path / "alphas.png")
    assert [path.name for path in tmp_path.iterdir()] == ["alphas.png"]


def test_one_tower(tmp_path: Path) -> None:
    space = Space.model_validate(
        {"name": "text only", "towers": {"text": {"layers": "0-2", "lengths": [3]}}}
    )
    plot_architecture(space.uniform(3), tmp_path / "architecture.png", title="one tower")
    plot_alphas([record(1, space)], {"text": (3,)}, tmp_path / "alphas.png")
    assert is_picture(tmp_path / "architecture.png")
    assert is_picture(tmp_path / "alphas.png")


def test_nothing_to_plot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no complete epoch"):
        plot_alphas([], LENGTHS, tmp_path / "alphas.png")


def test_nowhere_to_plot(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        plot_architecture(SPACE.uniform(2), tmp_path / "file" / "architecture.png")


ODD = "_x$\\frac$ $a_ [b] 100% \N{CJK UNIFIED IDEOGRAPH-732B}"


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", [ODD, "$x$", r"$\frac$", "$", r"\$a$"])
def test_a_name_is_no_formula(tmp_path: Path, name: str) -> None:
    space = SPACE.model_copy(update={"name": name})
    plot_architecture(space.uniform(2), tmp_path / "a.png")
    plot_architecture(space.uniform(2), tmp_path / "b.png", title=name)
    assert is_picture(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_what_matplotlibrc_says_of_tex_does_not_count(tmp_path: Path) -> None:
    from matplotlib import rc_context

    plot_architecture(SPACE.uniform(2), tmp_path / "a.png")
    with rc_context({"text.usetex": True, "axes.formatter.use_mathtext": True}):
        plot_architecture(SPACE.uniform(2), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_alphas_show_what_was_found(tmp_path: Path) -> None:
    records = [record(1), record(2)]
    likely = SPACE.architecture(records[-1]["choice"])
    plot_alphas(records, LENGTHS, tmp_path / "default.png")
    plot_alphas(records, LENGTHS, tmp_path / "likely.png", likely)
    plot_alphas(records, LENGTHS, tmp_path / "other.png", SPACE.uniform(0))
    default, same, other = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("default", "likely", "other")
    )
    assert default == same
    assert default != other


def texts(figure: Figure) -> list[str]:
    """All texts of a figure, its titles included."""
    return [each.get_text() for each in figure.findobj(Text) if each.get_text()]


CAPTION = "Chosen by trials: " + 12 * "trial 30 validated best, " + "$x$."


def test_both_figures_have_the_caption() -> None:
    alphas = alphas_figure([record(1)], LENGTHS, SPACE.uniform(0), CAPTION)
    architecture = architecture_figure(SPACE.uniform(0), caption=CAPTION)
    for figure in (alphas, architecture):
        (told,) = [each for each in texts(figure) if each.startswith("Chosen by trials")]
        assert " ".join(told.split()) == CAPTION
        assert "\n" in told
    for figure in (alphas_figure([record(1)], LENGTHS), architecture_figure(SPACE.uniform(0))):
        assert not [each for each in texts(figure) if each.startswith("Chosen")]


def test_a_caption_is_inside_the_picture() -> None:
    for figure in (
        alphas_figure([record(1)], LENGTHS, SPACE.uniform(0), CAPTION),
        architecture_figure(SPACE.uniform(0), caption=CAPTION),
    ):
        figure.draw_without_rendering()
        (told,) = [each for each in figure.findobj(Text) if each.get_text().startswith("Chosen")]
        box, page = told.get_window_extent(), figure.bbox
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0


def test_each_panel_of_the_alphas_marks_what_was_chosen() -> None:
    records = [record(1), record(2)]
    figure = alphas_figure(records, LENGTHS, SPACE.uniform(0))
    # The last candidate is the most likely one in all layers.
    for panel in [each for each in figure.axes if each.get_title().startswith("layer ")]:
        assert panel.get_title().split(": ")[1] in {"0 (likely 2)", "0 (likely 4)"}
        marked = [line for line in panel.get_lines() if line.get_marker() == "o"]
        # Candidates are drawn in their order, and 0 is the first.
        assert marked == [panel.get_lines()[0]]
        assert list(marked[0].get_markevery()) == [-1]
    chosen = SPACE.architecture(records[-1]["choice"])
    titles = [each.get_title() for each in alphas_figure(records, LENGTHS, chosen).axes]
    assert "layer 0: 4" in titles
    assert "layer 0: 2 (tied)" in titles
    assert not [each for each in titles if "likely" in each]
