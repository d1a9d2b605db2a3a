from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpl_nas.errors import OutputError
from dpl_nas.runs.plots import plot_alphas, plot_architecture
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
