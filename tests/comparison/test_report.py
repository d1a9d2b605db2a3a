import base64
import csv
import io
import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpl_nas.comparison import Cell, markdown_tables, write_report
from dpl_nas.errors import ComparisonError, OutputError

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that elements close in order, and keeps what a browser would load or show."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.resources: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data", "action", "poster"}:
                self.resources.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def written(cells: Iterable[Cell], folder: Path, **settings: Any) -> Page:
    write_report(cells, folder, **settings)
    return Page((folder / "report.html").read_text())


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_everything_is_there(tmp_path: Path, grid: list[Cell]) -> None:
    folder = tmp_path / "deep" / "report"
    page = written(grid, folder, command="dpl-nas compare --seeds 1 2 3", versions={"torch": "9"})
    assert {path.name for path in folder.iterdir()} == {
        "anytime.png",
        "comparison.csv",
        "comparison.json",
        "lengths.png",
        "ranks.png",
        "report.html",
        "vectors.png",
    }
    assert page.tags.count("img") == 4
    for heading in ("Conclusions", "Accuracy", "Tests", "Cost", "Found lengths", "Pictures"):
        assert heading in page.text
    # Numbers come before what may and may not be said of them.
    assert page.ids[:2] == ["accuracy", "conclusions"]
    assert "dpl-nas compare --seeds 1 2 3" in page.text
    assert "torch 9" in page.text
    assert "All cells are complete." in page.text


def test_the_page_needs_no_network(tmp_path: Path, grid: list[Cell]) -> None:
    page = written(grid, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"url\(|@import", text)
    for resource in page.resources:
        if resource.startswith("#"):
            assert resource[1:] in page.ids
        else:
            kind, data = resource.split(",")
            assert kind == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
                assert picture.format == "PNG"


def test_names_are_shown_as_they_are(tmp_path: Path, cell: Any) -> None:
    task, strategy = "<script>alert(1)</script>$x$", '_"darts" & [bold]co & \'s'
    cells = [
        cell(name, task, seed, accuracy, space="<b>a|b</b>")
        for name, accuracy in ((strategy, 0.9), ("random", 0.8))
        for seed in (1, 2)
    ]
    cells.append(cell("random", task, 3, None, space="<b>a|b</b>", error="<img src=x>"))
    page = written(cells, tmp_path, command="dpl-nas compare '<script>'")
    assert not {"script", "b"} & set(page.tags)
    assert page.tags.count("img") == 4
    for text in (task, strategy, "<b>a|b</b>", "<img src=x>", "compare '<script>'"):
        assert text in page.text
    shown = markdown_tables(cells)
    assert "\\<script>alert(1)\\</script>\\$x\\$" in shown
    assert "\\<b>a\\|b\\</b>" in shown


def test_a_name_is_no_formula_of_a_spreadsheet(tmp_path: Path, cell: Any) -> None:
    write_report([cell("=cmd|calc!A0"), cell("random"), cell("\t=1"), cell(" +1")], tmp_path)
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    strategies = [row["strategy"] for row in rows]
    assert strategies == ["'=cmd|calc!A0", "random", "\\t=1", "' +1"]
    assert rows[0]["test_accuracy"] == "0.8"


def test_json_and_csv(tmp_path: Path, grid: list[Cell], cell: Any) -> None:
    cells = [*grid, cell("slow", seed=1, accuracy=None)]
    write_report(cells, tmp_path, "random", command="typed", versions={"torch": "9"})
    data = json.loads((tmp_path / "comparison.json").read_text(), parse_constant=no_constant)
    assert (data["command"], data["versions"]) == ("typed", {"torch": "9"})
    assert (data["baseline"], data["strategies"]) == ("random", ["darts", "random", "slow"])
    assert [item["second"] for item in data["comparisons"]] == ["random"] * 3
    assert data["conclusions"][0]["supported"] is False
    assert data["conclusions"][0]["sentence"].startswith("darts is ahead of random by 2.0 points")
    assert data["comparisons"][0]["t_interval"]["method"] == "t"
    assert data["failed"][0]["error"] == "RuntimeError: out of memory"
    assert [Cell.from_json(item) for item in data["cells"]] == cells
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    assert len(rows) == len(cells)
    assert float(rows[0]["test_accuracy"]) == cells[0].test_accuracy
    assert json.loads(rows[0]["lengths"]) == cells[0].to_json()["lengths"]
    assert rows[-1]["test_accuracy"] == ""


def test_one_seed(tmp_path: Path, grid: list[Cell]) -> None:
    page = written([cell for cell in grid if cell.seed == 1], tmp_path)
    assert "There is only one seed" in page.text
    assert "\N{PLUS-MINUS SIGN}" not in page.text
    assert "so nothing may be concluded" in page.text


def test_one_strategy_alone(tmp_path: Path, cell: Any) -> None:
    page = written([cell(seed=seed) for seed in (1, 2)], tmp_path)
    assert "There is only one strategy and no reference" in page.text
    assert "Nothing is compared." in page.text
    assert not (tmp_path / "ranks.png").exists()


def test_missing_cells(tmp_path: Path, grid: list[Cell]) -> None:
    page = written([*grid[:3], *grid[4:]], tmp_path)
    assert "1 cell is missing (darts: 1)." in page.text
    assert "not run" in page.text
    assert "(2 of 3)" in page.text
    assert "17 of 18 cells complete" in page.text


def test_no_complete_cell(tmp_path: Path, cell: Any) -> None:
    page = written([cell(seed=1, accuracy=None), cell("random", accuracy=None)], tmp_path)
    assert "There is nothing to draw." in page.text
    assert "no complete pair" in page.text
    assert not list(tmp_path.glob("*.png"))
    json.loads((tmp_path / "comparison.json").read_text(), parse_constant=no_constant)


def test_equal_accuracies(tmp_path: Path, cell: Any) -> None:
    cells = [cell(name, seed=seed) for name in ("darts", "random") for seed in range(6)]
    page = written(cells, tmp_path)
    assert "have the same test accuracy in all 6 pairs" in page.text
    data = json.loads((tmp_path / "comparison.json").read_text(), parse_constant=no_constant)
    assert data["comparisons"][0]["bootstrap"] is None
    assert data["ranking"]["mean"] == {"darts": 1.5, "random": 1.5}


def test_several_spaces_and_shots(tmp_path: Path, cell: Any) -> None:
    cells = [
        cell(name, seed=seed, space=space, shots=shots)
        for name in ("darts", "random")
        for seed in (1, 2)
        for space in ("small", "large")
        for shots in (4, 16)
    ]
    page = written(cells, tmp_path)
    assert page.text.count("Test accuracy, ") == 4
    assert len(list(tmp_path.glob("lengths-*.png"))) == 4


def test_where_nothing_can_be_written(tmp_path: Path, grid: list[Cell]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_report(grid, tmp_path / "file")
    with pytest.raises(ComparisonError, match="baseline"):
        write_report(grid, tmp_path / "none", "nobody")
    assert not (tmp_path / "none").exists()


def test_markdown(grid: list[Cell]) -> None:
    text = markdown_tables(grid, "random")
    assert "| task | darts | random | zero-shot |\n| --- | ---: | ---: | ---: |\n" in text
    assert "| digits | **74.0 \N{PLUS-MINUS SIGN} 5.0** | 72.0 \N{PLUS-MINUS SIGN} 2.5 |" in text
    assert "- darts is ahead of random by 2.0 points" in text
    # Every table has as many cells in each row as heads.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
