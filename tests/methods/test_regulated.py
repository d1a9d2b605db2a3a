import math

import pytest
import torch
from torch.nn import functional

from benchmarks.plain_towers import by_layer, plain_image, plain_text
from dpl_nas.methods.regulated import SelfRegulation
from dpl_nas.tasks import Task
from tests.methods.tiny import (
    TOKENIZE,
    backbone_of,
    captions_of,
    clip_of,
    spread,
    tower_method,
)

IMAGES = 3


def test_the_regularisers_are_those_of_promptsrc(task: Task) -> None:
    backbone = backbone_of(torch.float64)
    clip = clip_of(backbone)
    method = tower_method("promptsrc", regulation={"image": 3.0, "text": 5.0, "logits": 0.5})
    model = spread(method.model(backbone, 3), torch.float64)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.empty(IMAGES, 3, 24, 24, dtype=torch.float64).normal_(generator=generator)
    labels = torch.tensor([0, 2, 1])
    loss = method.loss(method.published(4, 12), task, backbone, labels)
    assert loss.teacher is not None
    found = loss(
        model.outputs(pixels, method.captions(backbone, task)),
        labels,
        loss.teacher.opinions(pixels),
    )

    leaves = dict(model.named_parameters())
    image = functional.normalize(
        plain_image(clip, pixels, by_layer(leaves, "tokens.image.")), dim=-1
    )
    text = functional.normalize(
        plain_text(clip, captions_of(task).after(4), by_layer(leaves, "tokens.text.")), dim=-1
    )
    frozen = functional.normalize(plain_image(clip, pixels, {}), dim=-1)
    templates = task.templates or (task.template,)
    each = [
        functional.normalize(plain_text(clip, TOKENIZE(task.captions(template)), {}), dim=-1)
        for template in templates
    ]
    words = functional.normalize(torch.stack(each).mean(dim=0), dim=-1)
    scale = clip.logit_scale.exp()
    logits, taught = scale * image @ text.T, scale * frozen @ words.T
    p, q = logits.log_softmax(dim=1), taught.log_softmax(dim=1)
    expected = (
        functional.cross_entropy(logits, labels)
        + 3.0 * (image - frozen).abs().mean()
        + 5.0 * (text - words).abs().mean()
        + 0.5 * (q.exp() * (q - p)).mean()
    )
    # The frozen features are kept in float32.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_the_mean_over_epochs_has_a_gaussians_weights() -> None:
    weights = SelfRegulation(centre=15.0, deviation=5.0).epoch_weights(50)
    assert sum(weights) == pytest.approx(1)
    assert max(range(50), key=weights.__getitem__) == 14
    assert weights[9] / weights[14] == pytest.approx(math.exp(-0.5))
    # As many deviations away with fewer epochs.
    fewer = SelfRegulation(centre=15.0, deviation=5.0).epoch_weights(10)
    assert max(range(10), key=fewer.__getitem__) == 2
