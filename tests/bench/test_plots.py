"""Curves of accuracy against shots: what is averaged, and what is drawn."""

from pathlib import Path

import matplotlib.image
import pytest

from dpl_nas.bench import BenchCell
from dpl_nas.bench.plots import plot_shots, shot_curves


def cell(method: str, task: str, shots: int, share: float, seed: int = 1) -> BenchCell:
    return BenchCell(
        protocol="few-shot",
        method=method,
        task=task,
        shots=shots,
        seed=seed,
        accuracy={"all": share},
    )


def test_the_average_is_of_methods_that_have_all_tasks() -> None:
    cells = [
        *(cell("coop", task, n, 0.1 * n, seed) for task in "ab" for n in (1, 2) for seed in (1, 2)),
        *(cell("dpl", "a", n, 0.2 * n) for n in (1, 2)),
        cell("zero-shot", "a", 1, 0.5),
    ]
    cells[0] = cell("coop", "a", 1, 0.3)
    curves = shot_curves(cells)
    assert list(curves) == ["average", "a", "b"]
    assert set(curves["a"]) == {"coop", "dpl"}
    assert curves["average"]["coop"][1] == pytest.approx([0.2, 0.1])
    assert set(curves["average"]) == {"coop"}


def test_a_seed_that_failed_on_one_task_is_not_averaged_with_others() -> None:
    cells = [
        cell("coop", task, n, 0.5, seed) for task in "ab" for n in (1, 2, 4) for seed in (1, 2)
    ]
    del cells[0]
    assert list(shot_curves(cells)["average"]["coop"]) == [2, 4]


def test_one_number_of_shots_has_no_curve(tmp_path: Path) -> None:
    assert shot_curves([cell("coop", "a", 16, 0.5)]) == {}
    with pytest.raises(ValueError, match="two numbers of shots"):
        plot_shots({}, tmp_path / "shots.png")


def test_the_two_halves_of_the_classes_are_panels_of_their_own() -> None:
    halves = [
        BenchCell(
            protocol="base-to-new",
            method="coop",
            task="a",
            shots=n,
            seed=1,
            accuracy={"base": 0.5, "new": 0.4},
        )
        for n in (1, 2)
    ]
    assert list(shot_curves(halves)) == ["average", "a: base", "a: new"]


def test_lines_are_drawn_where_their_values_are(tmp_path: Path) -> None:
    flat = shot_curves([cell("coop", "a", n, 0.5) for n in (1, 2, 4)])
    steep = shot_curves([cell("coop", "a", n, 0.2 * n) for n in (1, 2, 4)])
    plot_shots(flat, tmp_path / "flat.png")
    plot_shots(steep, tmp_path / "steep.png")

    def rows_in_blue(name: str) -> set[int]:
        picture = matplotlib.image.imread(tmp_path / name)
        # The legend is above the panel.
        blue = (picture[..., 2] > 0.6) & (picture[..., 0] < 0.1)
        return set(blue.any(axis=1).nonzero()[0][30:])

    assert len(rows_in_blue("steep.png")) > 3 * len(rows_in_blue("flat.png"))
