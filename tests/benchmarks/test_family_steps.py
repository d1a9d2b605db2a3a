"""``python -m benchmarks.step --families``: both paths take the same step."""

from collections.abc import Callable

import open_clip
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks import family_steps
from benchmarks.family_steps import FAMILIES, FamilyRow, FamilyStep, measure_families
from dpl_nas.backbone import Backbone

VISION = {"width": 32, "layers": 3, "head_width": 8, "patch_size": 8, "image_size": 24}
TEXT = {"width": 16, "layers": 2, "heads": 2, "context_length": 12, "vocab_size": 100}


def small(_: str = "") -> Backbone:
    text = TEXT | {"no_causal_mask": True, "pool_type": "last"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Backbone.from_model(open_clip.CustomTextCLIP(12, VISION, text))


def alone() -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"img_size": 24, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
        return Backbone.from_model(VisionTransformer(**sizes, num_classes=0))


def decoder() -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 50}
        return Backbone.from_model(GPT2LMHeadModel(GPT2Config(**sizes)))


@pytest.mark.parametrize("build", [small, alone, decoder])
@pytest.mark.parametrize("lengths", [(2,), (0, 1, 2)])
def test_both_paths_take_the_same_step(
    build: Callable[[], Backbone], lengths: tuple[int, ...]
) -> None:
    step = FamilyStep(build(), 5, lengths)
    plain = step.run("reference")
    wanted = [each.grad.clone() for each in step.models["reference"].parameters()]
    torch.testing.assert_close(step.run("fast"), plain, rtol=2e-5, atol=2e-5)
    found = [each.grad for each in step.models["fast"].parameters()]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-6)


def test_rows_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_steps, "random_backbone", small)
    told: list[FamilyRow] = []
    family = next(iter(FAMILIES))
    rows = measure_families([family], classes=3, length=2, repeats=1, told=told.append)
    assert told == rows
    assert [row.phase for row in rows] == ["search", "train"]
    assert all(row.ratio == row.plain_s / row.ours_s for row in rows)
