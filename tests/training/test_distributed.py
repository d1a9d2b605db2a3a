"""Two processes on the CPU share every batch, and learn what one process learns."""

from functools import partial
from pathlib import Path

import pytest
import torch

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.observer import Observer
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.training import train
from dpl_nas.training.distributed import Ranks

#: 12 images in batches of 5, 5 and 2, of which two processes have unequal parts.
SETTINGS = {"epochs": 3, "batch_size": 5}


@pytest.fixture
def task(image_folder: Path) -> Task:
    return load_task(image_folder)


class Recorder(Observer):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.accuracies: list[float] = []

    def advance(self, stage, done, metrics, status="") -> None:
        self.losses.append(metrics["loss"])
        self.accuracies.append(metrics["train_accuracy"])


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_parts_are_the_batch(count: int, size: int) -> None:
    values = torch.arange(1.0, count + 1)
    ranks = [Ranks(rank, size) for rank in range(size)]
    seen = [each for one in ranks if one.weight(count) for each in values[one.part(count)].tolist()]
    assert seen == values.tolist()
    mean = sum(values[one.part(count)].mean() * one.weight(count) for one in ranks)
    assert mean == pytest.approx(values.mean())
    assert [one.first for one in ranks] == [True] + [False] * (size - 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"augmentation": "crop_flip", "distillation": {"weight": 1.0}}],
    ids=["plain", "augmented and distilled"],
)
def test_the_same_prompts(
    small_space: Space, small_backbone: Backbone, task: Task, settings: dict[str, object]
) -> None:
    alone, together = Recorder(), Recorder()
    learn = partial(
        train,
        small_space.uniform(2),
        small_space,
        task,
        shots=4,
        settings=TrainSettings.model_validate({**SETTINGS, **settings}),
        backbone=small_backbone,
    )
    one = learn(observer=alone).vectors
    two = learn(observer=together, devices=2).vectors
    assert one.keys() == two.keys()
    for name, vectors in one.items():
        torch.testing.assert_close(two[name], vectors, rtol=0, atol=1e-5)
    assert together.losses == pytest.approx(alone.losses, abs=1e-5)
    assert together.accuracies == alone.accuracies
