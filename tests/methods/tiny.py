"""A tiny CLIP, methods on it, and what they are held against."""

from functools import cache
from typing import Any

import open_clip
import torch

from benchmarks.plain_towers import Captions
from dpl_nas.backbone import Backbone
from dpl_nas.methods import TowerMethod, make_method
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.tasks import Task
from tests.prompted.conftest import tiny_clip

TOKENIZE = open_clip.SimpleTokenizer(context_length=20)


def captions_of(task: Task) -> Captions:
    return Captions(task.class_names, task.template, TOKENIZE)


def clip_of(backbone: Backbone) -> Any:
    return backbone.model


@cache
def backbone_of(dtype: torch.dtype) -> Backbone:
    clip: Any = tiny_clip().to(dtype)
    return Backbone.from_model(clip, name="tiny", tokenize=TOKENIZE)


def tower_method(name: str, **settings: Any) -> TowerMethod:
    method = make_method(name, **settings)
    assert isinstance(method, TowerMethod)
    return method


def spread(model: AdaptedCLIP, dtype: torch.dtype) -> AdaptedCLIP:
    """Draw parameters that are neither small nor zero."""
    generator = torch.Generator().manual_seed(5)
    model.to(dtype)
    with torch.no_grad():
        for each in model.parameters():
            each.copy_(torch.empty(each.shape, dtype=dtype).normal_(0, 0.5, generator=generator))
        for name, each in model.named_parameters():
            if name == "net.0.bias":
                # A hidden unit that is off has no gradient.
                each.fill_(2.0)
    return model
