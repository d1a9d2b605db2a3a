"""A small task and space, and what tests ask of any part."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task

__all__ = [
    "Bench",
    "OnSquares",
    "assert_sentence",
    "counted_steps",
    "global_generators",
    "of_class",
    "small_space",
    "task_of",
]

# pytest is about to do away with methods that are fixtures of a whole class.
_BENCH: pytest.StashKey[Bench] = pytest.StashKey()
_COLOURS = {"blue": (60, 60, 190), "green": (60, 190, 60)}


def task_of(folder: AnyPath, per_class: int = 6) -> Task:
    """A task of two classes of noisy coloured squares, whose images are written to ``folder``."""
    folder = Path(folder)
    for number, part in enumerate(("train", "test")):
        generator = np.random.default_rng(number)
        for name, colour in _COLOURS.items():
            place = folder / part / name
            place.mkdir(parents=True)
            for index in range(per_class):
                pixels = generator.normal(colour, 40, (32, 32, 3)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{index}.png")
    (folder / "task.yml").write_text("template: a {} square.\naugmentation: none\n")
    return load_task(folder)


def small_space(max_context_vectors: int | None = 3, lengths: str = "0-2") -> Space:
    """Two layers of each tower of the embedded CLIP; of 81 architectures, 31 fit in 3 vectors."""
    layers = {"layers": [0, 6], "lengths": lengths}
    return Space.model_validate(
        {
            "name": "conformance",
            "towers": {"image": layers, "text": layers},
            "max_context_vectors": max_context_vectors,
        }
    )


@dataclass(frozen=True)
class Bench:
    """The task and backbone of the searches."""

    task: Task
    backbone: Backbone

    __repr__ = short_repr


def of_class(request: pytest.FixtureRequest) -> pytest.Stash:
    """Return where a class of tests keeps what it makes once."""
    node: pytest.Class = request.node.getparent(pytest.Class)
    return node.stash


class OnSquares:
    """Tests on a small task, whose backbone is that of their space.

    Attributes
    ----------
    space
        Search space on two layers of each tower of the embedded CLIP.
    """

    space: Space = small_space()

    @pytest.fixture
    def bench(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Bench:
        """Task and backbone, made once a class."""
        stash = of_class(request)
        if _BENCH not in stash:
            task = task_of(tmp_path_factory.mktemp("squares"))
            stash[_BENCH] = Bench(task, load_backbone(self.space.backbone))
        return stash[_BENCH]


def assert_sentence(error: Exception) -> None:
    """Assert that an error's message is one meaningful line."""
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) > 20


def global_generators() -> tuple[Any, ...]:
    """Return the state of the global random generators, which nothing here may change."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - to see that nobody drew from it
    return torch.get_rng_state().tolist(), random.getstate(), numpy_state[1].tolist()


@contextmanager
def counted_steps() -> Iterator[Callable[[], int]]:
    """Count the steps of all optimizers of torch."""
    count = 0

    def note(optimizer: Optimizer, *_: Any) -> None:
        nonlocal count
        gradients = [each.grad for group in optimizer.param_groups for each in group["params"]]
        # A step on zeros is how the layout of a saved state is found out.
        count += any(each is not None and bool(each.any()) for each in gradients)

    handle = register_optimizer_step_post_hook(note)
    try:
        yield lambda: count
    finally:
        handle.remove()
