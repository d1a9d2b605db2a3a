from typing import Any

import pytest

from dpl_nas.bench import BenchCell, bench_tables
from dpl_nas.bench.tables import coop_half_width, latex, scores
from dpl_nas.comparison.tables import Grid, markdown


def cell(method: str, task: str = "a", seed: int = 1, **values: Any) -> BenchCell:
    given = {"protocol": "few-shot", "shots": 16, "accuracy": {"all": 0.5}, **values}
    return BenchCell(method=method, task=task, seed=seed, **given)


def by_title(cells: list[BenchCell], **options: Any) -> dict[str, Grid]:
    return {grid.title: grid for grid in bench_tables(cells, **options).all}


def test_few_shot() -> None:
    cells = [
        cell(method, task, seed, accuracy={"all": share + 0.01 * seed})
        for seed in (1, 2, 3)
        for task, shares in (("a", (0.5, 0.6)), ("b", (0.7, 0.4)))
        for method, share in zip(("coop", "dpl"), shares, strict=True)
    ]
    grid = by_title(cells)["Accuracy, 16 shots (few-shot)"]
    assert grid.columns == ("method", "a", "b", "average")
    # s = 0.01, and t of 2 degrees of freedom is 4.30: 4.30 * 1 / sqrt(3) = 2.5 points.
    assert grid.rows == (
        ("coop", "52.0 ± 2.5", "72.0 ± 2.5", "62.0"),
        ("dpl", "62.0 ± 2.5", "42.0 ± 2.5", "52.0"),
    )
    assert grid.strong == {(0, 3)}
    assert scores(cells)[0].over.values == pytest.approx((0.51, 0.52, 0.53))


def test_base_and_new_and_their_harmonic_mean() -> None:
    halves: dict[str, Any] = {"protocol": "base-to-new"}
    cells = [
        cell("coop", "a", accuracy={"base": 0.8, "new": 0.4}, **halves),
        cell("coop", "b", accuracy={"base": 0.6, "new": 0.8}, **halves),
        # What cannot answer for new classes has no harmonic mean.
        cell("linear-probe", "a", accuracy={"base": 0.9}, **halves),
        cell("linear-probe", "b", accuracy={"base": 0.9}, **halves),
    ]
    grids = by_title(cells)
    average = grids["Base and new classes, 16 shots, average of 2 tasks"]
    # Of the averages, as papers do: 2 * 0.7 * 0.6 / 1.3.
    assert average.rows == (
        ("coop", "70.0", "60.0", "64.6"),
        ("linear-probe", "90.0", "-", "-"),
    )
    assert grids["a, 16 shots"].rows[0] == ("coop", "80.0", "40.0", "53.3")


def test_the_task_that_was_learned_is_not_in_the_average_of_others() -> None:
    tested = {"a": 0.9, "b": 0.5, "c": 0.3}
    cells = [cell("coop", "a", accuracy=tested, protocol="cross-dataset", shots=1)]
    grid = by_title(cells)["Accuracy, 1 shot (cross-dataset)"]
    assert grid.columns == ("method", "a", "b", "c", "average")
    assert grid.rows == (("coop", "90.0", "50.0", "30.0", "40.0"),)


def test_a_mean_over_fewer_tasks_is_not_taken_for_one_over_all() -> None:
    cells = [cell("coop", "a"), cell("dpl", "a"), cell("dpl", "b")]
    cells.append(cell("coop", "b", accuracy={}, error="out of memory"))
    grids = by_title(cells)
    assert grids["Accuracy, 16 shots (few-shot)"].rows[0] == ("coop", "50.0", "-", "-")
    assert grids["Failed"].rows == (("coop", "b", "16", "1", "out of memory"),)


def test_cost_and_details() -> None:
    cells = [
        cell("coop", "a", 1, parameters=8192, seconds=10.0, peak_bytes=2**30),
        cell("coop", "b", 1, parameters=4096, seconds=20.0, peak_bytes=2**31),
    ]
    grids = by_title(cells)
    assert grids["Cost"].rows == (("coop", "4,096 to 8,192", "15 s", "2.00"),)
    assert grids["Every result"].rows[0] == ("coop", "a", "16", "all", "50.0", "50.0", "-", "-")


def test_methods_against_a_baseline() -> None:
    cells = [
        cell(method, task, seed, accuracy={"all": share + 0.1 * seed})
        for seed in (1, 2)
        for task, shares in (("a", (0.5, 0.6)), ("b", (0.3, 0.6)))
        for method, share in zip(("coop", "dpl"), shares, strict=True)
    ]
    assert not bench_tables(cells).pairs.rows
    grid = by_title(cells, baseline="coop")["Against coop"]
    # The mean of 0.1 and 0.3, and t of 1 degree of freedom: 12.706 * 0.1 = 127 points.
    (row,) = grid.rows
    assert row[:4] == ("dpl", "all", "20.0", "\N{MINUS SIGN}107.1 to 147.1")
    assert row[5:] == ("2 of 2", "0.295", "0.295")
    assert "Holm's method over 1 test." in grid.note


def test_where_searches_put_lengths() -> None:
    cells = [
        cell("dpl@darts", lengths={"image": (1, 2, 4), "text": (0, 8)}, seed=1),
        cell("dpl@darts", lengths={"image": (0, 2, 1), "text": (1, 1)}, seed=2),
        cell("dpl"),
    ]
    grid = by_title(cells)["Found lengths"]
    heads = ("image, first", "image, last", "text, first", "text, last")
    assert grid.columns == ("method", "learned from", "all", *heads)
    assert grid.rows == (("dpl@darts", "a", "10.0", "0.5", "4.5", "0.5", "4.5"),)
    assert "Found lengths" not in by_title(cells[2:])


def test_the_interval_of_coops_scripts() -> None:
    assert coop_half_width([0.5]) is None
    # The deviation over n of 1, 2, 3 is sqrt(2 / 3).
    assert coop_half_width([0.1, 0.2, 0.3]) == pytest.approx(1.96 * 0.1 * (2 / 3) ** 0.5 / 3**0.5)


def test_published_figures_are_shown_when_asked_and_marked() -> None:
    cells = [cell("coop"), cell("dpl")]
    title = "Accuracy, 16 shots (few-shot)"
    assert "published" not in by_title(cells)[title].columns
    grid = by_title(cells, published=True)[title]
    assert grid.columns[-1] == "published"
    assert grid.rows[0][-1].startswith("79.9 or 79.01 (README of")
    assert grid.rows[1][-1] == "-"
    assert "not measured here" in grid.note


def test_latex_and_markdown() -> None:
    cells = [
        cell("dpl+maple", "own_task", seed, accuracy={"all": 0.5 + seed / 100}) for seed in (1, 2)
    ]
    cells += [cell("50% & more", "own_task")]
    (grid, *_) = bench_tables(cells).accuracies
    text = latex(grid)
    assert r"\begin{tabular}{lrr}" in text
    assert r"own\_task" in text
    assert r"50\% \& more & 50.0 & 50.0 \\" in text
    assert r"$\pm$" in text
    assert r"\textbf{51.5}" in text
    assert "| dpl+maple |" in markdown([grid])
