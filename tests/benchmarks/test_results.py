"""``python -m benchmarks.results``: one page of three protocols, which goes on."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks import results


@pytest.mark.slow
def test_one_page_of_all_protocols(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shifted = shutil.copytree(image_folder, tmp_path / "shifted")
    command = [
        *("--out", str(tmp_path / "out"), "--methods", "zero-shot", "class-means", "--jobs", "2"),
        *("--tasks", str(image_folder), "--shifts", str(image_folder), str(shifted)),
        *("--seeds", "1", "--shots", "2"),
    ]
    results.main(command)
    page = (tmp_path / "out" / "results.md").read_text()
    assert page == capsys.readouterr().out
    assert "6 cells, 0 of them failed" in page
    assert f"| method | {image_folder} | average |" in page.replace("\\_", "_")
    assert "| method | base | new | H |" in page
    assert f"{shifted} | average |" in page.replace("\\_", "_")
    # Class means know no captions, so they cannot answer for new classes.
    assert re.search(r"\| class-means \| [\d.]+ \| \\?- \| \\?- \|", page)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("cell.json")}
    assert len(kept) == 6
    results.main(command)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("cell.json")} == kept
