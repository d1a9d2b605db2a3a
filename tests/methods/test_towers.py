"""Forward and gradients of methods in the towers, against their published form."""

from functools import cache
from typing import Any

import open_clip
import pytest
import torch

from benchmarks.plain_towers import (
    Definition,
    conditional_logits,
    context_logits,
    coupled_logits,
    low_rank_logits,
    token_logits,
)
from dpl_nas.backbone import Backbone
from dpl_nas.tasks import Task
from tests.methods.tiny import backbone_of, captions_of, clip_of, spread, tower_method

IMAGES = 3

#: Method, settings, definition.
CASES: list[tuple[str, dict[str, Any], Definition]] = [
    ("coop", {"length": 5}, token_logits),
    ("coop", {"lengths": {"text": (0, 3)}}, token_logits),
    ("cocoop", {}, conditional_logits),
    ("vpt", {}, token_logits),
    ("vpt", {"lengths": {"image": (2, 0, 3)}}, token_logits),
    ("vpt", {"lengths": {"image": (0, 2, 0)}}, token_logits),
    ("vpt-shallow", {}, token_logits),
    ("ivlp", {"depth": 2}, token_logits),
    ("ivlp", {"lengths": {"image": (1, 3, 2), "text": (4, 2)}}, token_logits),
    ("ivlp", {"lengths": {"image": (1, 0, 0), "text": (2, 4)}}, token_logits),
    ("maple", {}, coupled_logits),
    ("maple", {"lengths": {"text": (3, 1)}}, coupled_logits),
    ("promptsrc", {}, token_logits),
    ("clip-lora", {"dropout": 0.0}, low_rank_logits),
    (
        "clip-lora",
        {"dropout": 0.0, "lengths": {"image": (0, 3, 1), "text": (2,)}},
        low_rank_logits,
    ),
    ("dpl", {"template": "task"}, context_logits),
    ("dpl", {"template": "task", "lengths": {"image": (0, 2, 1), "text": (3, 0)}}, context_logits),
    ("dpl+promptsrc", {"template": "task"}, context_logits),
    ("dpl+maple", {"template": "task"}, context_logits),
]


@pytest.mark.parametrize("path", ["fast", "reference"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("name", "settings", "definition"), CASES)
def test_forward_and_gradients_are_those_of_the_published_form(
    name: str,
    settings: dict[str, Any],
    definition: Definition,
    dtype: torch.dtype,
    path: str,
    task: Task,
) -> None:
    backbone = backbone_of(dtype)
    method = tower_method(name, **settings)
    model = spread(method.model(backbone, 3), dtype)
    model.path = path  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(1)
    pixels = torch.empty(IMAGES, 3, 24, 24, dtype=dtype).normal_(generator=generator)
    pull = torch.empty(IMAGES, 3, dtype=dtype).normal_(generator=generator)

    logits = model(pixels, method.captions(backbone, task))
    (logits * pull).sum().backward()

    leaves = {
        key: value.detach().clone().requires_grad_() for key, value in model.named_parameters()
    }
    expected = definition(clip_of(backbone), captions_of(task), pixels, leaves)
    (expected * pull).sum().backward()
    near = {"atol": 1e-10 if dtype == torch.float64 else 2e-5, "rtol": 0.0}
    if dtype == torch.float32:
        near["rtol"] = 2e-5
    torch.testing.assert_close(logits, expected, **near)
    for key, value in model.named_parameters():
        assert value.grad is not None, key
        assert value.grad.abs().sum() > 0, key
        largest = float(leaves[key].grad.abs().max())  # type: ignore[union-attr]
        torch.testing.assert_close(
            value.grad / largest,
            leaves[key].grad / largest,
            **near,
        )
    for parameter in backbone.model.parameters():
        assert parameter.grad is None


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("coop", 16 * 512),
        ("cocoop", 35_360),
        ("vpt", 4 * 12 * 768),
        ("vpt-shallow", 4 * 768),
        ("ivlp", 9 * 4 * (512 + 768)),
        ("maple", 3_555_072),
        ("promptsrc", 46_080),
        ("clip-lora", 184_320),
        ("dpl", 4 * 12 * (512 + 768)),
    ],
)
def test_parameters_on_vit_b16_are_those_published(name: str, published: int) -> None:
    backbone = wide_backbone()
    model = tower_method(name).model(backbone, 1)
    assert sum(each.numel() for each in model.parameters()) == published


@cache
def wide_backbone() -> Backbone:
    """The widths and layers of ViT-B/16; what does not matter is small."""
    vision = {"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 0.01}
    text = {"layers": 12, "width": 512, "heads": 8, "context_length": 77, "mlp_ratio": 0.01}
    clip: Any = open_clip.CLIP(
        embed_dim=512,
        vision_cfg={"patch_size": 16, "image_size": 32, **vision},
        text_cfg={"vocab_size": 49408, **text},
    )
    tokenize = open_clip.SimpleTokenizer(context_length=77)
    return Backbone.from_model(clip, name="wide", tokenize=tokenize)
