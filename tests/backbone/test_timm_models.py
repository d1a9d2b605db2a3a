"""Models of timm by name: their weights, their transform, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer

from dpl_nas.backbone import load_backbone, tower_depths
from dpl_nas.backbone import timm_models as module
from dpl_nas.errors import ArchitectureError, BackboneError, CheckpointError
from dpl_nas.prompted import Context, PromptedCLIP
from dpl_nas.space import BackboneConfig

SMALL = {"img_size": 24, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}
NAME = "timm:dpl_test_plain"


@register_model
def dpl_test_plain(pretrained: bool = False, **settings: Any) -> VisionTransformer:
    """A small vision transformer with a classifier, as timm's are."""
    del pretrained
    model = VisionTransformer(**SMALL, num_classes=settings.get("num_classes", 7))
    model.default_cfg = model.pretrained_cfg = {
        "input_size": (3, 24, 24),
        "crop_pct": 0.75,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.25, 0.3),
        "interpolation": "bicubic",
    }
    return model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = timm.create_model("dpl_test_plain")
    file = tmp_path / "model.safetensors"
    save_file(dict(model.state_dict()), file)
    return file


def test_a_file_gives_the_weights_without_the_classifier(weights: Path) -> None:
    backbone = load_backbone(BackboneConfig(model=NAME, pretrained=str(weights)))
    assert (backbone.layers, backbone.image_size) == ({"image": 3, "text": 0}, 24)
    assert tower_depths(NAME) == backbone.layers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = timm.create_model("dpl_test_plain").eval()
    images = torch.rand(2, 3, 24, 24)
    expected = model.forward_head(model.forward_features(images), pre_logits=True)
    found = PromptedCLIP(backbone, {}).encode_image(images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_transform_is_timms(weights: Path) -> None:
    backbone = load_backbone(BackboneConfig(model=NAME, pretrained=str(weights)))
    assert backbone.mean == pytest.approx((0.5, 0.4, 0.3), abs=1e-5)
    assert backbone.std == pytest.approx((0.2, 0.25, 0.3), abs=1e-5)
    # Three quarters of the shorter side are cut out of the middle.
    picture = Image.new("RGB", (64, 32), "black")
    picture.paste("white", (20, 4, 44, 28))
    assert float(backbone.preprocess(picture).mean()) > 1.9
    other = BackboneConfig(model=NAME, pretrained=str(weights), mean=(0, 0, 0), std=(1, 1, 1))
    assert load_backbone(other).mean == pytest.approx((0, 0, 0), abs=1e-5)


def test_random_weights_depend_on_the_seed_alone() -> None:
    def made(seed: int) -> str:
        config = BackboneConfig(model=NAME, pretrained="random", seed=seed)
        return load_backbone(config).fingerprint

    before = torch.get_rng_state()
    assert made(1) == made(1) != made(2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet18", r"since it is a ResNet, neither a CLIP of open_clip nor a vision"),
        ("timm:vit_small_patch16_225", r"did you mean timm:vit_small_patch16_224\?"),
        ("timm:hf-hub:timm/vit", "since timm does not know it"),
        ("timm:", "since timm does not know it"),
        ("timm:vit_small_patch16_224.x", "has no weights x: it has augreg_in1k, augreg_in21k"),
        ("timm:dpl_test_plain.x", "has no weights x: it has none"),
    ],
)
def test_what_timm_does_not_have_is_refused(name: str, words: str) -> None:
    for refused in (
        lambda: tower_depths(name),
        lambda: load_backbone(BackboneConfig(model=name, pretrained="random")),
    ):
        with pytest.raises(BackboneError, match=words):
            refused()


def test_weights_are_never_silently_random(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackboneError, match="needs weights, and timm has none of it: set space"):
        load_backbone(BackboneConfig(model=NAME))
    with pytest.raises(BackboneError, match="nowhere is no file of weights: set"):
        load_backbone(BackboneConfig(model=NAME, pretrained="nowhere"))

    def fail(*_: Any, **settings: Any) -> None:
        assert settings["pretrained"]
        raise OSError("no network\nat all")

    monkeypatch.setattr(module, "build_timm", lambda _: torch.nn.Identity())
    monkeypatch.setattr(module.timm, "create_model", fail)
    with pytest.raises(BackboneError, match=r"could not be downloaded \(no network at all\): down"):
        load_backbone(BackboneConfig(model="timm:vit_small_patch16_224"))


def test_weights_of_another_model_are_refused(weights: Path) -> None:
    config = BackboneConfig(model="timm:vit_tiny_patch16_224", pretrained=str(weights))
    with pytest.raises(CheckpointError, match=r"does not hold a timm:vit_tiny_patch16_224: "):
        load_backbone(config)


def test_the_text_tower_has_no_layers() -> None:
    backbone = load_backbone(BackboneConfig(model=NAME, pretrained="random"))
    with pytest.raises(ArchitectureError, match=r"text/0, .* since it is a model of images alone"):
        PromptedCLIP(backbone, {"text": {0: Context(1, 32)}})
    with pytest.raises(BackboneError, match="brings its own activation"):
        load_backbone(BackboneConfig(model=NAME, pretrained="random", quick_gelu=True))


def test_the_embedded_image_tower_is_that_of_the_embedded_clip() -> None:
    clip, alone = (load_backbone(BackboneConfig(model=name)) for name in ("mini-clip", "mini-vit"))
    assert tower_depths("mini-vit") == {"image": 12, "text": 0} == alone.layers
    assert (clip.mean, clip.std, clip.image_size) == (alone.mean, alone.std, alone.image_size)
    images = torch.rand(2, 3, 32, 32)
    found, expected = (PromptedCLIP(each, {}).encode_image(images) for each in (alone, clip))
    assert torch.equal(found, expected)
