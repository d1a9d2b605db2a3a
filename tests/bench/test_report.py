"""The page of a bench: what is in it, and that nothing in it leaves the page."""

import json
from pathlib import Path

import pytest

from dpl_nas.bench import BenchCell, write_bench


def cells(*shots: int, method: str = "coop") -> list[BenchCell]:
    return [
        BenchCell(
            protocol="few-shot",
            method=method,
            task="a<b>",
            shots=n,
            seed=seed,
            accuracy={"all": 0.5},
        )
        for n in shots
        for seed in (1, 2)
    ]


def test_the_page_has_tables_and_curves(tmp_path: Path) -> None:
    failed = BenchCell(
        protocol="few-shot", method="dpl", task="a<b>", shots=4, seed=1, error="it broke"
    )
    tables = write_bench([*cells(1, 4), failed], tmp_path, command="dpl-nas bench coop dpl")
    page = (tmp_path / "report.html").read_text()
    for grid in tables.all:
        assert grid.title.replace("<", "&lt;") in page
    assert "it broke" in page
    assert "dpl-nas bench coop dpl" in page
    assert "4 of 5 cells complete" in page
    assert "a&lt;b&gt;" in page
    assert "a<b>" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img") == 1
    assert "torch" in json.loads((tmp_path / "results.json").read_text())["versions"]


def test_curves_of_an_earlier_command_do_not_stay(tmp_path: Path) -> None:
    write_bench(cells(1, 4), tmp_path)
    assert (tmp_path / "shots.png").exists()
    write_bench(cells(4), tmp_path)
    assert not (tmp_path / "shots.png").exists()
    assert "<img" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("method", ["package.module:<script>", "{{ 1 }}"])
def test_names_are_escaped(method: str, tmp_path: Path) -> None:
    write_bench(cells(4, method=method), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "{{ 1 }}" in page or "&lt;script&gt;" in page
