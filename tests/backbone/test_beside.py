"""What open_clip's hub publishes beside weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import factory
from PIL import Image
from safetensors.torch import save_file

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.errors import BackboneError, CheckpointError
from dpl_nas.space import BackboneConfig

NAME = "tiny-for-tests-of-configs"
CONFIG: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": {"layers": 2, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 24},
    "text_cfg": {"layers": 3, "width": 16, "heads": 2, "context_length": 20},
}
PREPROCESSING = {"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3], "interpolation": "bilinear"}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{NAME}.json").write_text(json.dumps(CONFIG))
    (folder / f"{NAME}-quickgelu.json").write_text(json.dumps({**CONFIG, "quick_gelu": True}))
    open_clip.add_model_config(folder)
    yield
    factory._MODEL_CONFIG_PATHS.remove(folder)
    for name in (NAME, f"{NAME}-quickgelu"):
        del factory._MODEL_CONFIGS[name]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    weights = load_backbone(BackboneConfig(model=NAME, pretrained="random")).model.state_dict()
    save_file(dict(weights), tmp_path / "open_clip_model.safetensors")
    return tmp_path


def put(folder: Path, content: Any) -> None:
    (folder / "open_clip_config.json").write_text(json.dumps(content))


def load(folder: Path, **settings: Any) -> Backbone:
    file = folder / "open_clip_model.safetensors"
    return load_backbone(BackboneConfig(**{"model": NAME, "pretrained": str(file), **settings}))


def test_the_model_is_open_clips_own(published: Path) -> None:
    put(published, {"model_cfg": {**CONFIG, "quick_gelu": True}, "preprocess_cfg": PREPROCESSING})
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{published}")
    backbone = load(published)
    picture = Image.radial_gradient("L").resize((60, 40)).convert("RGB")
    pixels = preprocess(picture)
    assert torch.equal(backbone.preprocess(picture), pixels)
    with torch.no_grad():
        expected = model.eval().encode_image(pixels[None])
        torch.testing.assert_close(backbone.model.encode_image(pixels[None]), expected)
    # What is set counts more.
    asked = load(published, quick_gelu=False, mean=(0.1, 0.2, 0.3))
    assert asked.mean == (0.1, 0.2, 0.3)
    assert asked.std == (0.1, 0.2, 0.3)
    with torch.no_grad():
        assert not torch.allclose(asked.model.encode_image(pixels[None]), expected)


def test_the_plain_activation_is_known_then(published: Path) -> None:
    put(published, {"model_cfg": CONFIG})
    # Without a warning, which would be an error here.
    assert load(published).mean == open_clip.OPENAI_DATASET_MEAN


@pytest.mark.parametrize(
    ("content", "kind", "complaint"),
    [
        ([], CheckpointError, "expected a mapping"),
        ({}, CheckpointError, "model_cfg: field required"),
        ({"model_cfg": {}}, CheckpointError, "model_cfg.embed_dim: field required"),
        ({"model_cfg": {**CONFIG, "quick_gelu": "x"}}, CheckpointError, "model_cfg.quick_gelu"),
        (
            {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [1]}},
            CheckpointError,
            "preprocess_cfg.mean",
        ),
        (
            {"model_cfg": {**CONFIG, "vision_cfg": {"colour": 1}}},
            CheckpointError,
            "this version of open_clip does not know",
        ),
        (
            {"model_cfg": {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], "head_width": 16}}},
            BackboneError,
            f"another model than {NAME}: vision_cfg.head_width is 16 in the file, 8 in {NAME}; set",
        ),
        ({"model_cfg": {**CONFIG, "embed_dim": 13}}, BackboneError, "embed_dim is 13 in the file"),
    ],
)
def test_what_does_not_fit(
    published: Path, content: Any, kind: type[Exception], complaint: str
) -> None:
    put(published, content)
    with pytest.raises(kind, match=complaint) as caught:
        load(published)
    assert "\n" not in str(caught.value)


def test_a_model_that_contradicts_it(published: Path) -> None:
    put(published, {"model_cfg": CONFIG})
    with pytest.raises(BackboneError, match="quick_gelu is false in the file, true in"):
        load(published, model=f"{NAME}-quickgelu")


def test_the_embedded_clip_brings_its_own() -> None:
    for setting in ({"quick_gelu": False}, {"mean": (0.5, 0.5, 0.5)}, {"std": (1, 1, 1)}):
        with pytest.raises(BackboneError, match="mini-clip brings its own quick_gelu, mean and st"):
            load_backbone(BackboneConfig(**setting))
