from pathlib import Path
from typing import Any

import pytest
import torch

from dpl_nas.backbone import Backbone
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.space import Space
from dpl_nas.tasks import load_task
from dpl_nas.training import TrainedPrompts, evaluate, load_prompts, loop, train
from dpl_nas.training.optimizers import learning_rate, set_learning_rate
from dpl_nas.training.state import load_state, save_state


def quick(**settings: object) -> TrainSettings:
    return TrainSettings.model_validate({"epochs": 4, "batch_size": 6, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"template": "mean_embedding"},
        {"augmentation": "crop_flip"},
        {"distillation": {"weight": 1.0}},
        {"optimizer": {"name": "sgd", "lr": 0.0035, "warmup_epochs": 1}},
        {"class_features": "learned"},
    ],
    ids=["plain", "mean_embedding", "augmented", "distilled", "sgd", "class features"],
)
def test_training_learns_saves_and_loads(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    tmp_path: Path,
    settings: dict[str, object],
) -> None:
    task = load_task(image_folder)
    architecture = small_space.architecture({"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2})

    def learn(**more: object) -> object:
        return train(
            architecture,
            small_space,
            task,
            shots=4,
            seed=1,
            settings=quick(**settings),
            backbone=small_backbone,
            **more,  # type: ignore[arg-type]
        )

    prompts, again = learn(), learn()
    assert {name: tuple(v.shape) for name, v in prompts.vectors.items()} == {
        "image/0": (4, 32),
        "text/0": (1, 16),
        "text/1": (2, 16),
    }
    for name, vectors in prompts.vectors.items():
        assert torch.equal(vectors, again.vectors[name])
    assert (prompts.class_features is not None) == ("class_features" in settings)
    file = tmp_path / "prompts.safetensors"
    prompts.save(file)
    metrics = evaluate(prompts, task, backbone=small_backbone)
    assert evaluate(load_prompts(file), task, backbone=small_backbone) == metrics
    assert metrics.images == 60


def test_damaged_and_foreign_prompts(
    small_space: Space, small_backbone: Backbone, image_folder: Path, tmp_path: Path
) -> None:
    task = load_task(image_folder)
    prompts = train(
        small_space.uniform(2),
        small_space,
        task,
        shots=2,
        settings=quick(epochs=1),
        backbone=small_backbone,
    )
    file = tmp_path / "prompts.safetensors"
    prompts.save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        load_prompts(file)
    golden = Path(__file__).parents[1] / "data" / "golden_small.safetensors"
    with pytest.raises(CheckpointError, match="no dpl_nas prompts"):
        load_prompts(golden)
    with pytest.raises(CheckpointError, match="no trained prompts"):
        load_prompts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        # Layer norms tame large steps; a decay by (1 - lr * weight_decay) a step is not tamed.
        (
            {"optimizer": {"name": "sgd", "lr": 1e6, "weight_decay": 1e6, "schedule": "constant"}},
            r"became nan in epoch \d: lower train\.optimizer\.lr$",
        ),
        (
            {"distillation": {"weight": 1.0, "temperature": 1e-40}},
            r"became nan in epoch 0: .*train\.distillation\.temperature",
        ),
    ],
    ids=["step", "distillation"],
)
def test_a_training_that_explodes_is_told(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    settings: dict[str, object],
    complaint: str,
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        train(
            small_space.uniform(2),
            small_space,
            load_task(image_folder),
            shots=4,
            settings=quick(**settings),
            backbone=small_backbone,
        )


def test_a_last_step_that_explodes_is_told(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def to_infinity(optimizer: torch.optim.Optimizer, _: float) -> None:
        set_learning_rate(optimizer, float("inf"))

    monkeypatch.setattr(loop, "set_learning_rate", to_infinity)
    with pytest.raises(
        ConfigError, match="what is learned was not finite after epoch 0: lower train"
    ):
        train(
            small_space.uniform(2),
            small_space,
            load_task(image_folder),
            shots=2,
            settings=quick(epochs=1),
            backbone=small_backbone,
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_state_of_something_else_is_told(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    tmp_path: Path,
    optimizer: str,
) -> None:
    file = tmp_path / "train.state"
    task = load_task(image_folder)

    def learn(epochs: int = 2, length: int = 2) -> TrainedPrompts:
        return train(
            small_space.uniform(length),
            small_space,
            task,
            shots=2,
            settings=quick(epochs=epochs, optimizer={"name": optimizer, "schedule": "constant"}),
            backbone=small_backbone,
            state=file,
        )

    learn(epochs=1)
    whole = file.read_bytes()
    resumed = learn().vectors
    file.unlink()
    assert all(torch.equal(value, resumed[name]) for name, value in learn().vectors.items())

    def fresh() -> dict[str, Any]:
        file.write_bytes(whole)
        return load_state(file) or {}

    foreign: list[tuple[dict[str, Any], str]] = [
        ({}, "is missing or unknown in the file"),
        ({"weights": torch.zeros(2)}, "is missing or unknown in the file"),
        ({**fresh(), "epochs": "1"}, "epochs should be int, found str"),
        ({**fresh(), "epochs": -1}, "should hold 1 to 2 epochs, found -1"),
        ({**fresh(), "epochs": 9}, "should hold 1 to 2 epochs, found 9"),
        ({**fresh(), "contexts": [1]}, "contexts should hold values by name, found list"),
        ({**fresh(), "optimizer": {"state": {}}}, "param_groups is missing or unknown"),
    ]
    for part in ({}, {0: {}}, {"x": 1}):
        saved = fresh()
        saved["optimizer"]["state"] = part
        foreign.append((saved, "is missing or unknown in state"))
    saved = fresh()
    name = min(saved["contexts"])
    saved["contexts"][name] = saved["contexts"][name][:, 1:]
    foreign.append((saved, r"vectors should be float32 \(2, 32\), found float32 \(2, 31\)"))
    saved = fresh()
    for key, value in saved["optimizer"]["state"][0].items():
        saved["optimizer"]["state"][0][key] = value[..., None]
    foreign.append((saved, "should be float32"))

    for state, complaint in foreign:
        save_state(file, state)
        with pytest.raises(CheckpointError, match=complaint) as caught:
            learn()
        assert "remove it to start that stage afresh" in str(caught.value)
    file.write_bytes(whole)
    with pytest.raises(CheckpointError, match="is not a state of this run"):
        learn(length=4)


def test_learning_rate() -> None:
    settings = OptimizerSettings(lr=1.0, warmup_epochs=1, warmup_lr=0.25)
    rates = [learning_rate(settings, epoch, 4) for epoch in range(4)]
    assert rates == pytest.approx([0.25, 0.853553, 0.5, 0.146447], abs=1e-6)
