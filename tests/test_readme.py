"""What README.md tells to write does what it says."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dpl_nas.config import load_strategy
from dpl_nas.io import run_files
from dpl_nas.methods import Method, TowerMethod, make_method
from dpl_nas.strategy import Strategy, make_strategy
from dpl_nas.testing import MethodConformance, StrategyConformance
from dpl_nas.training.problem import Problem

README = Path(__file__).parents[1] / "README.md"


def blocks(heading: str) -> dict[str, str]:
    """The code of a section, by the file name in its first line."""
    section = re.split(r"\n##", README.read_text().split(heading, 1)[1], maxsplit=1)[0]
    found = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", section, re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The files of "Add a strategy" and "Add a method", where Python finds them."""
    place = tmp_path_factory.mktemp("readme")
    for heading in ("### Add a strategy", "### Add a method"):
        for name, content in blocks(heading).items():
            (place / name).write_text(content)
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))
    for name in ("hill", "last"):
        sys.modules.pop(name, None)


def test_the_table_of_the_run_folder_has_all_files() -> None:
    section = README.read_text().split("### The run folder", 1)[1].split("\n## ", 1)[0]
    names = {getattr(run_files, each) for each in run_files.__all__} - {run_files.LOCK}
    assert not {
        each for each in names if f"`{each}`" not in section and f"`{each}/`" not in section
    }


def hill() -> ModuleType:
    return importlib.import_module("hill")


def test_it_is_short() -> None:
    code = blocks("### Add a strategy")["hill.py"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


class TestHillClimbing(StrategyConformance):
    def make(self, **settings: Any) -> Strategy:
        strategy: Strategy = hill().HillClimbing(**settings)
        return strategy


class TestLastLayer(MethodConformance):
    def make(self, **settings: Any) -> Method:
        return make_method("last:LastLayer", **settings)

    def test_it_has_so_many_tokens(self, problem: Problem) -> None:
        """The example does what it says."""
        method = self.make(length=3)
        assert isinstance(method, TowerMethod)
        tokens = method.model(problem.backbone, 1).state_dict()
        assert [(name, len(value)) for name, value in tokens.items()] == [("tokens.image.11", 3)]


def test_its_file_makes_it(folder: Path) -> None:
    made = make_strategy(load_strategy(folder / "hill.yml"))
    assert isinstance(made, hill().HillClimbing)
    assert made.settings.layers == 3  # type: ignore[attr-defined]
    assert made.name == "hill:HillClimbing"


@pytest.mark.slow
def test_the_command_line_takes_it(folder: Path, image_folder: Path, mini_weights: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dpl_nas", "search", "--task", str(image_folder)),
            *("--space", "mini_clip_budget6", "--strategy", "hill.yml", "--budget", "2-trials"),
            *("--shots", "4", "--out", "out", "--json", "--quiet", "train.epochs=1"),
            f"space.backbone.pretrained={mini_weights}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "architecture.json").exists()
