"""Losses, and that a loop minimises the one that it is given."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.prompted import Outputs, PromptedCLIP
from dpl_nas.space import Space
from dpl_nas.tasks import load_task
from dpl_nas.training.evaluation import build_classifier
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.losses import (
    CrossEntropy,
    DistilledCrossEntropy,
    Loss,
    class_weights,
    distillation_loss,
    recipe_loss,
)
from dpl_nas.training.problem import Problem
from dpl_nas.training.teacher import ZeroShotTeacher


def said(logits: Tensor) -> Outputs:
    return Outputs(torch.zeros(len(logits), 1), torch.zeros(logits.shape[1], 1), logits)


@dataclass(frozen=True)
class NearTo:
    """Cross-entropy, and how far text features are from those of the frozen CLIP (KgCoOp)."""

    frozen: Tensor
    weight: float
    teacher: None = None
    remedy: str = "lower the weight of the distance"

    def __call__(self, outputs: Outputs, labels: Tensor, opinions: Tensor | None) -> Tensor:
        assert opinions is None
        apart = (functional.normalize(outputs.text_features, dim=-1) - self.frozen).square().sum(-1)
        return functional.cross_entropy(outputs.logits, labels) + self.weight * apart.mean()


def test_distillation_is_kl_divergence() -> None:
    student, teacher = torch.randn(5, 4).double(), torch.randn(5, 4).double()
    p, q = teacher.softmax(-1), student.softmax(-1)
    expected = (p * (p / q).log()).sum(-1).mean()
    assert torch.allclose(distillation_loss(student, teacher, 1.0), expected)
    assert float(distillation_loss(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-12)


def test_the_recipe_asks_a_teacher_only_where_it_distils(
    small_backbone: Backbone, image_folder: Path
) -> None:
    task = load_task(image_folder)
    images = torch.tensor([0, 1, 2])
    assert recipe_loss(TrainSettings(), task, small_backbone, images) == CrossEntropy()
    settings = TrainSettings.model_validate({"distillation": {"weight": 0.5, "temperature": 2.0}})
    loss = recipe_loss(settings, task, small_backbone, images)
    assert isinstance(loss, DistilledCrossEntropy)
    assert isinstance(loss.teacher, ZeroShotTeacher)
    logits, labels, opinions = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]), torch.randn(5, 3)
    plain = functional.cross_entropy(logits, labels)
    assert torch.equal(CrossEntropy()(said(logits), labels, None), plain)
    assert torch.equal(
        loss(said(logits), labels, opinions),
        plain + 0.5 * distillation_loss(logits, opinions, 2.0),
    )
    with pytest.raises(ValueError, match="expected the teacher's logits"):
        loss(said(logits), labels, None)


def test_a_balanced_loss_is_the_mean_of_the_means_of_classes() -> None:
    labels = torch.tensor([0] * 7 + [2] * 2 + [3])
    weights = class_weights(labels, 5)
    assert float(weights[labels].mean()) == pytest.approx(1)
    assert weights[[1, 4]].tolist() == [0, 0]
    logits = torch.randn(10, 5)
    each = functional.cross_entropy(logits, labels, reduction="none")
    expected = torch.stack([each[labels == label].mean() for label in (0, 2, 3)]).mean()
    loss = CrossEntropy(weights=weights)
    assert torch.allclose(loss(said(logits), labels, None), expected)
    # Batches of an epoch add up to the whole.
    parts = [
        loss(said(logits[at]), labels[at], None) * len(at) for at in torch.randperm(10).split(4)
    ]
    assert torch.allclose(torch.stack(parts).sum() / 10, expected)


def test_the_recipe_balances_the_loss(small_backbone: Backbone, image_folder: Path) -> None:
    task = load_task(image_folder)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    logits = torch.randn(6, len(task.class_names))
    weights = class_weights(labels, len(task.class_names))
    expected = CrossEntropy(weights=weights)(said(logits), labels, None)
    assert not torch.allclose(expected, functional.cross_entropy(logits, labels))
    plain = recipe_loss(TrainSettings(balance="loss"), task, small_backbone, labels)
    assert torch.equal(plain(said(logits), labels, None), expected)
    settings = TrainSettings.model_validate({"balance": "loss", "distillation": {"weight": 2.0}})
    distilled = recipe_loss(settings, task, small_backbone, labels)
    assert torch.allclose(distilled(said(logits), labels, logits), expected)
    by_batches = recipe_loss(TrainSettings(balance="batches"), task, small_backbone, labels)
    assert torch.equal(
        by_batches(said(logits), labels, None), functional.cross_entropy(logits, labels)
    )


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_training_minimises_the_loss_that_it_is_given(
    small_space: Space, small_backbone: Backbone, image_folder: Path, augmentation: str
) -> None:
    task = load_task(image_folder)
    plain = PromptedCLIP(small_backbone, {})
    captions = [task.template.replace("{}", name) for name in task.class_names]
    text = small_backbone.text_inputs(captions)
    frozen = functional.normalize(plain.encode_text(text), dim=-1)
    settings = TrainSettings.model_validate(
        {"epochs": 6, "batch_size": 6, "augmentation": augmentation, "optimizer": {"lr": 0.1}}
    )

    def distance(loss: Loss | None) -> float:
        problem = Problem.of(small_space, task, shots=4, recipe=settings, backbone=small_backbone)
        training = FewShotTraining(problem, loss=loss)
        prompts = training.train(small_space.uniform(2))
        features = build_classifier(prompts, small_backbone).text_features
        return float((functional.normalize(features, dim=-1) - frozen).square().sum())

    free = distance(None)
    assert distance(NearTo(frozen, 0.0)) == free
    assert distance(NearTo(frozen, 100.0)) < 0.5 * free


def test_a_loss_says_what_to_do_where_it_is_not_finite(
    small_space: Space, small_backbone: Backbone, image_folder: Path
) -> None:
    task = load_task(image_folder)
    loss = NearTo(torch.full((3, 12), torch.inf), 1.0)
    problem = Problem.of(small_space, task, shots=2, backbone=small_backbone)
    training = FewShotTraining(problem, loss=loss)
    with pytest.raises(ConfigError, match=r"lower train.optimizer.lr, or lower the weight of the"):
        training.train(small_space.uniform(2))
