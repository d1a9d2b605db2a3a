"""Every strategy searches a model of images alone, whose class features it learns."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.config import STRATEGIES, TrainSettings
from dpl_nas.io.run_files import SEARCH_STATE
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space
from dpl_nas.strategy.registry import strategy_class
from dpl_nas.tasks import Task
from dpl_nas.testing import task_of
from dpl_nas.training.problem import Problem
from dpl_nas.training.state import load_state

SUPERNET: dict[str, Any] = {"epochs": 2, "batch_size": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "adapt": SUPERNET,
    "darts": SUPERNET | {"shortlist": 1},
    "gumbel_darts": SUPERNET,
    "one_shot": SUPERNET | {"population_size": 3, "generations": 1, "shortlist": 1},
    "pro_vpt": SUPERNET | {"every": 1},
    "halving": {"min_epochs": 1, "eta": 2},
    "evolution": {"population_size": 3, "sample_size": 2},
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return task_of(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.model_validate(
        {
            "name": "alone",
            "backbone": {"model": "mini-vit"},
            "towers": {"image": {"layers": [0, 6, 11], "lengths": "0-2"}},
            "max_context_vectors": 3,
        }
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_finds_lengths_of_the_image_tower(
    name: str, task: Task, space: Space, tmp_path: Path
) -> None:
    problem = Problem.of(space, task, shots=4, recipe=TrainSettings(epochs=2, batch_size=4))
    strategy = strategy_class(name)(**SETTINGS.get(name, {}))
    result = strategy.search(
        problem, SearchBudget(trials=20 if name == "grid" else 6), folder=tmp_path, quiet=True
    )
    space.check(result.architecture)
    assert result.architecture.vectors <= 3
    trials = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert trials


def test_a_supernet_learns_class_features(task: Task, space: Space, tmp_path: Path) -> None:
    problem = Problem.of(space, task, shots=4, recipe=TrainSettings(epochs=2, batch_size=4))
    strategy = strategy_class("adapt")(**SUPERNET)
    strategy.search(problem, SearchBudget(trials=4), folder=tmp_path, quiet=True)
    state = load_state(tmp_path / SEARCH_STATE)
    assert state is not None
    assert state["model"]["offsets"].shape == (2, 96)
    assert float(state["model"]["offsets"].abs().max()) > 0
