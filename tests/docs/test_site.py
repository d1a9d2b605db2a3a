"""The site builds without a warning, needs no network, and has every public name."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dpl_nas
from tests.docs.blocks import PAGES, blocks_of
from tests.docs.smaller import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"
_LINK = re.compile(r"\]\(([^)\s:#]+)(?:#[^)\s]*)?\)")
_FILE = re.compile(r"(?<![\w/.])docs/[\w/.-]+\.(?:md|png)")


def modules() -> list[str]:
    """Modules whose names are public: those that a page of the reference is about."""
    found = [
        re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE) for page in REFERENCE.glob("*")
    ]
    return sorted({each for page in found for each in page})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_in_it(site: Path) -> None:
    pages = {page.removeprefix("docs/").removesuffix(".md").lower() for page in PAGES}
    assert {str(p.relative_to(site).with_suffix("")) for p in site.rglob("*.html")} >= pages


def test_it_needs_no_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        asked = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(https?:[^\" >]+)", page.read_text()
        )
        assert not asked, page


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    anchors = {
        anchor
        for page in (site / "reference").glob("*.html")
        for anchor in re.findall(r'id="(dpl_nas\.[\w.]+)"', page.read_text())
    }
    named = {
        f"{module}.{name}"
        for module in modules()
        for name in importlib.import_module(module).__all__
    }
    # Some of these modules are there for one of their names.
    partly = {"dpl_nas.training.few_shot.train"}
    assert not named - partly - anchors


def test_every_name_of_the_package_is_in_its_table() -> None:
    table = (REFERENCE / "index.md").read_text()
    assert not [name for name in dpl_nas.__all__ if f"`{name}`" not in table]


def test_what_pages_import_is_in_the_reference() -> None:
    imported = {
        module
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "python"
        for module in re.findall(r"^(?:from|import) (dpl_nas[\w.]*)", block.code, re.MULTILINE)
    }
    assert imported <= {"dpl_nas", *modules()}


def test_roles_of_docstrings_are_links(site: Path) -> None:
    page = (site / "reference" / "training.html").read_text()
    assert not re.findall(r":(?:class|func|meth|attr):", page)
    assert 'href="config.html#dpl_nas.config.TrainSettings"' in page


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_links_lead_to_files(page: str) -> None:
    file = REPOSITORY / page
    links = _LINK.findall(re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL))
    assert not [link for link in links if not (file.parent / link).exists()]


def test_pages_that_code_tells_of_exist() -> None:
    files = [
        p
        for place in ("dpl_nas", "benchmarks", "tests")
        for p in (REPOSITORY / place).rglob("*.py")
    ]
    files += [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("*.yml"),
        *REPOSITORY.glob("strategies/*.yml"),
    ]
    told = {name for file in files for name in _FILE.findall(file.read_text())}
    assert not [name for name in told if not (REPOSITORY / name).exists()]
