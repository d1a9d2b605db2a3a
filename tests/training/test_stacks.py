"""Architectures that are trained side by side, and how many at a time."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.space import Space
from dpl_nas.tasks import load_task
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem
from dpl_nas.training.stacks import split_evenly, stack_size

LENGTHS = (
    {"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2},
    {"image/0": 0, "image/2": 0, "text/0": 0, "text/1": 0},
    {"image/0": 0, "image/2": 2, "text/0": 0, "text/1": 0},
    {"image/0": 0, "image/2": 0, "text/0": 0, "text/1": 1},
)


def training(
    small_space: Space, small_backbone: Backbone, folder: Path, **settings: object
) -> FewShotTraining:
    recipe = TrainSettings.model_validate({"epochs": 3, "batch_size": 6, **settings})
    task = load_task(folder)
    return FewShotTraining(
        Problem.of(small_space, task, shots=4, seed=1, recipe=recipe, backbone=small_backbone)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"template": "mean_embedding"},
        {"augmentation": "crop_flip"},
        {"distillation": {"weight": 1.0}},
        {"optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.1}},
        {"optimizer": {"name": "sgd", "lr": 0.0035, "warmup_epochs": 1}},
        {"class_features": "learned"},
    ],
    ids=["plain", "mean_embedding", "augmented", "distilled", "adamw", "sgd", "class features"],
)
def test_a_stack_trains_as_each_alone(
    small_space: Space, small_backbone: Backbone, image_folder: Path, settings: dict[str, object]
) -> None:
    together = training(small_space, small_backbone, image_folder, **settings)
    architectures = [small_space.architecture(each) for each in LENGTHS]
    found = together.train_stack(architectures)
    for architecture, prompts in zip(architectures, found, strict=True):
        alone = together.train(architecture)
        assert prompts.metadata == alone.metadata
        assert prompts.vectors.keys() == alone.vectors.keys()
        for name, vectors in alone.vectors.items():
            torch.testing.assert_close(prompts.vectors[name], vectors, rtol=1e-5, atol=1e-5)
        assert (prompts.class_features is None) == (alone.class_features is None)
        if prompts.class_features is not None and alone.class_features is not None:
            torch.testing.assert_close(
                prompts.class_features, alone.class_features, rtol=1e-5, atol=1e-5
            )


def test_vectors_that_are_not_finite_are_told(
    small_space: Space, small_backbone: Backbone, image_folder: Path
) -> None:
    optimizer = {"name": "sgd", "lr": 1e6, "weight_decay": 1e6, "schedule": "constant"}
    wild = training(small_space, small_backbone, image_folder, optimizer=optimizer)
    with pytest.raises(ConfigError, match=r"lower train\.optimizer\.lr$"):
        wild.train_stack([small_space.architecture(each) for each in LENGTHS])


def test_as_many_as_memory_allows(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = small_backbone.text_inputs(["a dog", "a cat"])
    assert stack_size(small_backbone, text, 8) == 16
    monkeypatch.setattr("dpl_nas.backbone.memory._ON_CPU", 1)
    assert stack_size(small_backbone, text, 8) == 1
    assert training(small_space, small_backbone, image_folder).stack_size == 1


@given(st.lists(st.integers()), st.integers(1, 20), st.integers(1, 5))
def test_parts_are_even(items: list[int], size: int, parts: int) -> None:
    found = list(split_evenly(items, size, parts))
    assert [each for part in found for each in part] == items
    lengths = [len(part) for part in found]
    assert all(1 <= length <= size for length in lengths)
    assert max(lengths, default=0) - min(lengths, default=0) <= 1
    assert len(found) >= min(parts, len(items))
