import open_clip
import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dpl_nas.errors import BackboneError
from dpl_nas.mini.model import build_mini_clip
from dpl_nas.space.flops import TowerSize, flops_per_vector, image_tower_size, plain_flops


def counted(size: TowerSize, context: int) -> int:
    """FLOPs that torch counts in one attention over tokens and context, heads aside."""
    q = torch.zeros(1, 1, size.tokens, size.width)
    k = torch.zeros(1, 1, size.tokens + context, size.width)
    with FlopCounterMode(display=False) as counter:
        _ = (q @ k.transpose(-2, -1)).softmax(dim=-1) @ k
    return counter.get_total_flops()


def test_a_context_vector_costs_what_torch_counts() -> None:
    size = TowerSize(layers=3, tokens=17, width=96, mlp_width=384)
    assert counted(size, 5) - counted(size, 0) == 5 * flops_per_vector(size)


def test_a_plain_block_costs_what_torch_counts() -> None:
    size = TowerSize(layers=1, tokens=17, width=96, mlp_width=200)
    x, w = torch.zeros(1, size.tokens, size.width), torch.zeros(size.width, size.width)
    with FlopCounterMode(display=False) as counter:
        for _ in range(4):  # queries, keys, values, output
            functional.linear(x, w)
        hidden = functional.linear(x, torch.zeros(size.mlp_width, size.width))
        functional.linear(hidden, torch.zeros(size.width, size.mlp_width))
    assert plain_flops(size) == counter.get_total_flops() + counted(size, 0)


def test_vit_b16() -> None:
    size = image_tower_size("ViT-B-16")
    assert size == TowerSize(layers=12, tokens=197, width=768, mlp_width=3072)
    assert image_tower_size("ViT-B/16") == size
    # 17.6 GMACs, as published for ViT-B (Touvron et al. 2021, arXiv 2012.12877, table 1).
    assert plain_flops(size) / 2 == pytest.approx(17.6e9, rel=0.01)


@pytest.mark.parametrize("model", ["mini-clip", "ViT-L-14-336", "ViT-B-32-256"])
def test_sizes_are_those_of_the_models(model: str) -> None:
    config = None if model == "mini-clip" else open_clip.get_model_config(model)
    with torch.device("meta"):
        built = build_mini_clip() if config is None else open_clip.CLIP(**config)
    visual = built.visual
    assert image_tower_size(model) == TowerSize(
        layers=len(visual.transformer.resblocks),
        tokens=len(visual.positional_embedding),
        width=visual.transformer.width,
        mlp_width=visual.transformer.resblocks[0].mlp.c_fc.out_features,
    )


@pytest.mark.parametrize("model", ["RN50", "ViT-Z", "hf-hub:x", "ViT-SO400M-14-SigLIP"])
def test_models_that_cannot_be_counted(model: str) -> None:
    with pytest.raises(BackboneError, match=f"vision transformer of open_clip, .*, found {model}"):
        image_tower_size(model)
