"""Every block of code in README and docs runs, in the order of its page."""

import re
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpl_nas.errors import DplWarning
from tests.docs.blocks import PAGES, REASONS, Block, blocks_of
from tests.docs.smaller import REPOSITORY, shrink

RUN = {"sh", "python"}
#: What a block says that it writes.
OUTPUT = re.compile(r"(?:--out |--csv |\.save(?:_pretrained)?\(\")([\w./-]+)")

#: Files that the text of a page promises.
PROMISED: dict[str, tuple[str, ...]] = {
    "README.md": (
        "flowers.clf/report.html",
        "new.csv",
        "runs/digits/result.json",
        "runs/digits/trials.png",
        "runs/compare/report.html",
    ),
    "docs/how-to/export.md": ("flowers.onnx",),
    "docs/how-to/resume.md": ("runs/digits/result.json",),
    "docs/tutorials/classifier.md": ("animals.clf/report.html", "unseen.csv", "cautious.csv"),
    "docs/tutorials/strategy.md": (
        "runs/climb/architecture.json",
        "runs/climb/ledger.jsonl",
        "runs/climb/evaluations.json",
        "runs/climbs/report.html",
    ),
}


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_run_or_says_why_not(page: str) -> None:
    for block in blocks_of(page):
        assert block.language in {"sh", "python", "yaml", "json", ""}, str(block)
        assert not block.reason or block.language in RUN, str(block)
        assert not block.reason or block.reason.startswith(REASONS), f"{block}: {block.reason}"


def test_every_reason_is_in_use() -> None:
    told = {block.reason for page in PAGES for block in blocks_of(page)}
    assert not [each for each in REASONS if not any(reason.startswith(each) for reason in told)]


def test_fences_are_not_missed() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```", (REPOSITORY / page).read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks_of(page)), page


def run_shell(block: Block, desk: Path, shell: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", block.code],
        cwd=desk,
        env=shell,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def run_python(block: Block, names: dict[str, Any]) -> None:
    code = compile(block.code, str(block), "exec")
    with warnings.catch_warnings():
        # Notes of the package are warnings, which do not end a reader's program.
        warnings.simplefilter("ignore", DplWarning)
        exec(code, names)  # noqa: S102 - a page of this repository


@pytest.mark.parametrize(
    "page",
    [
        # The README is tested with all else, the rest by make test-all.
        pytest.param(page, marks=[pytest.mark.slow] * (page != "README.md"))
        for page in PAGES
        if any(b.language in RUN and not b.reason for b in blocks_of(page))
    ],
)
def test_a_page_runs(
    page: str,
    desk: Path,
    presets: Path,
    shell: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shrink(presets, monkeypatch.setattr)
    monkeypatch.syspath_prepend(str(desk))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        started = time.time()
        if block.name:
            (desk / block.name).parent.mkdir(parents=True, exist_ok=True)
            (desk / block.name).write_text(block.code)
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.code), dict), str(block)
        if block.language not in RUN or block.reason:
            continue
        if block.language == "sh":
            run_shell(block, desk, shell)
        else:
            run_python(block, names)
        for file in OUTPUT.findall(block.code):
            assert (desk / file).stat().st_mtime >= started - 1, f"{block} writes no {file}"
    assert not [file for file in PROMISED.get(page, ()) if not (desk / file).exists()]
