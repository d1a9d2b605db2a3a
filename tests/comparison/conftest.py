"""Cells that look as a comparison leaves them."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from dpl_nas.comparison import Cell

Make = Callable[..., Cell]


def make_cell(
    strategy: str = "darts",
    task: str = "digits",
    seed: int = 1,
    accuracy: float | None = 0.8,
    **settings: Any,
) -> Cell:
    draw = random.Random(f"{strategy} {task} {seed}")
    lengths = {"image": [draw.randint(0, 4) for _ in range(3)], "text": [draw.randint(0, 4)]}
    values = {
        "space": "small",
        "shots": 4,
        "lengths": lengths,
        "vectors": sum(map(sum, lengths.values())),
        "test_macro_f1": accuracy,
        "validation_accuracy": accuracy,
        "steps": 100,
        "images": 6400,
        "seconds": 12.5,
        "peak_bytes": 1 << 30,
        "mean_entropy": 0.25 if strategy == "darts" else None,
        "evaluations": 5,
        "stopped_by": "epochs",
        "curve": [(0, 0.0, 0.2), (50, 6.0, 0.5), (100, 12.5, 0.7)],
    }
    if accuracy is None:
        values |= {"error": "RuntimeError: out of memory", "lengths": {}, "vectors": 0}
    return Cell(
        task=task, strategy=strategy, seed=seed, test_accuracy=accuracy, **(values | settings)
    )


@pytest.fixture(scope="session")
def cell() -> Make:
    return make_cell


@pytest.fixture
def grid() -> list[Cell]:
    """Two strategies and a reference on two tasks with three seeds; darts leads everywhere."""
    cells = []
    for place, task in enumerate(("digits", "halves")):
        for seed in (1, 2, 3):
            base = 0.7 + 0.1 * place + 0.01 * seed
            cells += [
                make_cell("darts", task, seed, base + 0.01 * seed),
                make_cell("random", task, seed, base),
                make_cell(
                    "zero-shot",
                    task,
                    seed,
                    0.5,
                    reference=True,
                    lengths={},
                    vectors=0,
                    validation_accuracy=None,
                    steps=0,
                    images=0,
                    seconds=0.0,
                    curve=[],
                ),
            ]
    return cells
