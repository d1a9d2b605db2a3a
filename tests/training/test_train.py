from pathlib import Path

import pytest
import torch

from dpl_nas.backbone import Backbone
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.space import Space
from dpl_nas.tasks import load_task
from dpl_nas.training import evaluate, load_prompts, train
from dpl_nas.training.optimizers import learning_rate
from dpl_nas.training.teacher import distillation_loss


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
    ],
    ids=["plain", "mean_embedding", "augmented", "distilled", "sgd"],
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


def test_a_loss_that_explodes_is_told(
    small_space: Space, small_backbone: Backbone, image_folder: Path
) -> None:
    settings = quick(optimizer={"name": "sgd", "lr": 1e30, "schedule": "constant"}, epochs=9)
    with pytest.raises(ConfigError, match=r"lower train\.optimizer\.lr"):
        train(
            small_space.uniform(2),
            small_space,
            load_task(image_folder),
            shots=4,
            settings=settings,
            backbone=small_backbone,
        )


def test_learning_rate() -> None:
    settings = OptimizerSettings(lr=1.0, warmup_epochs=1, warmup_lr=0.25)
    rates = [learning_rate(settings, epoch, 4) for epoch in range(4)]
    assert rates == pytest.approx([0.25, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_distillation_is_kl_divergence() -> None:
    student, teacher = torch.randn(5, 4).double(), torch.randn(5, 4).double()
    p, q = teacher.softmax(-1), student.softmax(-1)
    expected = (p * (p / q).log()).sum(-1).mean()
    assert torch.allclose(distillation_loss(student, teacher, 1.0), expected)
    assert float(distillation_loss(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-12)
