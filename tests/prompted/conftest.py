"""A CLIP of open_clip that is small enough to run at once."""

from collections.abc import Callable

import open_clip
import pytest
import torch
from torch import nn

from dpl_nas.backbone import Backbone

VOCABULARY = 49408


def tiny_clip(
    *,
    custom_text: bool = False,
    vision: dict[str, object] | None = None,
    text: dict[str, object] | None = None,
    quick_gelu: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Image tower of 3 layers and width 32, text tower of 2 layers and width 16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
        model: nn.Module = kind(
            embed_dim=12,
            vision_cfg={
                "layers": 3,
                "width": 32,
                "head_width": 8,
                "patch_size": 8,
                "image_size": 24,
                **(vision or {}),
            },
            text_cfg={
                "layers": 2,
                "width": 16,
                "heads": 2,
                "context_length": 20,
                "vocab_size": VOCABULARY,
                **(text or {}),
            },
            quick_gelu=quick_gelu,
        )
        for parameter in model.parameters():
            # Layer norms and biases as they are after training: neither 1 nor 0.
            if parameter.ndim == 1:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(scope="session")
def make_backbone() -> Callable[..., Backbone]:
    tokenize = open_clip.SimpleTokenizer(context_length=20)

    def make(*, double: bool = True, precision: str = "fp32", **settings: object) -> Backbone:
        model = tiny_clip(**settings)  # type: ignore[arg-type]
        if double:
            model.double()
        return Backbone.from_model(model, name="tiny", tokenize=tokenize, precision=precision)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def backbone(make_backbone: Callable[..., Backbone]) -> Backbone:
    return make_backbone()
