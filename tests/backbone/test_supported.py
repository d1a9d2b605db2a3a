"""What open_clip's models can carry: every configuration is built, without memory for weights."""

import pytest

from dpl_nas.backbone import list_models, model_facts, tower_depths
from dpl_nas.errors import BackboneError


@pytest.mark.parametrize(
    ("model", "layers", "widths"),
    [
        ("mini-clip", (12, 12), None),
        ("mini-vit", (12, 0), (96, 0)),
        ("mini-lm", (0, 8), (0, 96)),
        ("timm:vit_small_patch14_reg4_dinov2", (12, 0), (384, 0)),
        ("ViT-B/16", (12, 12), (768, 512)),
        ("ViT-B-16-SigLIP2", (12, 12), (768, 768)),
        ("EVA02-L-14", (24, 12), (1024, 768)),
        ("PE-Core-B-16", (12, 24), (768, 1024)),
        ("MobileCLIP-S2", (4, 12), (640, 512)),
        ("ViTamin-S", (14, 12), (384, 384)),
        ("ViT-L-14-CLIPA", (24, 12), (1024, 768)),
        ("coca_ViT-B-32", (12, 12), (768, 512)),
        ("RN50", (0, 12), (0, 512)),
        ("xlm-roberta-base-ViT-B-32", (12, 12), (768, 768)),
    ],
)
def test_towers_are_known_without_weights(
    model: str, layers: tuple[int, int], widths: tuple[int, int] | None
) -> None:
    facts = model_facts(model).towers
    assert (facts["image"].layers, facts["text"].layers) == layers
    assert tower_depths(model) == {"image": layers[0], "text": layers[1]}
    assert widths is None or (facts["image"].width, facts["text"].width) == widths
    assert all(bool(each.reason) == (each.layers == 0) for each in facts.values())


def test_an_unknown_model_has_a_likely_name() -> None:
    with pytest.raises(BackboneError, match=r"did you mean ViT-B-16-SigLIP2\?"):
        model_facts("ViT-B-16-SigLip2")


@pytest.mark.slow
def test_nearly_all_of_open_clip_can_be_searched() -> None:
    # Other tests register small models of their own.
    found = [each for each in list_models() if not each.name.startswith(("mini-", "test-"))]
    both = [each for each in found if len(each.searchable) == 2]
    some = [each for each in found if each.searchable]
    assert len(found) >= 144
    assert len(some) == len(found)
    assert len(both) >= 121
    assert not any(each.objection for each in found)
