import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.config import SupernetSettings
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.space import Space
from dpl_nas.strategy.supernet.loop import SupernetModule
from dpl_nas.training.losses import CrossEntropy, DistilledCrossEntropy, Loss, distillation_loss
from dpl_nas.training.teacher import ZeroShotTeacher

CLASSES = ("dog", "cat", "bird")


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    images = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    return images, torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize("distilled", [False, True])
def test_a_step_minimises_the_loss_that_it_is_given(
    small_space: Space, small_backbone: Backbone, batch: tuple[Tensor, Tensor], distilled: bool
) -> None:
    images, labels = batch
    text = small_backbone.text_inputs([f"a {name}" for name in CLASSES])
    teacher = ZeroShotTeacher(small_backbone, ("a photo of a {}",), CLASSES)
    loss: Loss = DistilledCrossEntropy(teacher, 3.0, 2.0) if distilled else CrossEntropy()
    module = SupernetModule(SupernetSettings(), text, loss, epochs_before=0)
    model = PromptSpace(small_space, small_backbone).random()
    module.set_model(model)
    logits = model(images, text)
    expected = functional.cross_entropy(logits, labels)
    if distilled:
        expected = expected + 3.0 * distillation_loss(logits, teacher.opinions(images), 2.0)
    found = module.step_loss(images, labels)
    assert torch.equal(found, expected)
