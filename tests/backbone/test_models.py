"""Names of models: open_clip's own, folders, and the Hub's."""

import json
import re
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import hf_model
from safetensors.torch import save_file

from dpl_nas.backbone import load_backbone, tower_depths
from dpl_nas.backbone import models as module
from dpl_nas.backbone.models import find_model
from dpl_nas.errors import BackboneError, CheckpointError
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.space import BackboneConfig

CONFIG: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": {
        "width": 32,
        "layers": 3,
        "head_width": 8,
        "patch_size": 8,
        "image_size": 24,
    },
    "text_cfg": {
        "width": 16,
        "layers": 2,
        "heads": 2,
        "context_length": 20,
        "vocab_size": 49408,
    },
}
PREPROCESSING = {"mean": [0.5, 0.5, 0.5], "std": [0.4, 0.4, 0.4], "resize_mode": "squash"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as open_clip's push_to_hf_hub writes it."""
    place = tmp_path / "model"
    place.mkdir()
    described = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESSING}
    (place / "open_clip_config.json").write_text(json.dumps(described))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = open_clip.CLIP(**CONFIG)
    save_file(dict(model.state_dict()), place / "open_clip_model.safetensors")
    return place


def test_a_folder_is_a_model_with_its_weights(folder: Path) -> None:
    backbone = load_backbone(BackboneConfig(model=f"local-dir:{folder}"))
    assert tower_depths(f"local-dir:{folder}") == {"image": 3, "text": 2}
    assert (backbone.mean, backbone.std) == ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = open_clip.CLIP(**CONFIG).eval()
    images = torch.randn(2, 3, 24, 24)
    found = PromptedCLIP(backbone, {}).encode_image(images)
    torch.testing.assert_close(found, model.encode_image(images), rtol=1e-5, atol=1e-5)
    # Weights that are named take their place.
    random = load_backbone(BackboneConfig(model=f"local-dir:{folder}", pretrained="random"))
    assert random.fingerprint != backbone.fingerprint


def test_a_folder_without_weights_needs_some(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(BackboneError, match="needs weights: set space"):
        load_backbone(BackboneConfig(model=f"local-dir:{folder}"))
    assert load_backbone(BackboneConfig(model=f"local-dir:{folder}", pretrained="random"))


def test_a_revision_of_the_hub_is_downloaded_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        assert "open_clip_config.json" in allow_patterns
        assert not any(pattern.endswith(".py") for pattern in allow_patterns)
        asked.append((name, revision))
        return str(folder)

    monkeypatch.setattr(module, "snapshot_download", download)
    backbone = load_backbone(BackboneConfig(model="hf-hub:someone/some-clip@v2"))
    assert backbone.name == "hf-hub:someone/some-clip@v2"
    find_model("hf-hub:someone/some-clip")
    assert asked == [("someone/some-clip", "v2"), ("someone/some-clip", None)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-Z-99", "open_clip does not know it"),
        ("local-dir:/nowhere", "/nowhere has no open_clip_config.json"),
        ("hf-hub:nobody", "expected hf-hub:OWNER/NAME, also with @REVISION"),
        ("hf-hub:some/../thing", "expected hf-hub:OWNER/NAME"),
    ],
)
def test_what_names_no_model_is_told(name: str, said: str) -> None:
    with pytest.raises(BackboneError, match=re.escape(said)):
        find_model(name)


def test_without_a_network_the_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(module, "snapshot_download", fail)
    with pytest.raises(BackboneError, match=r"\(no route to host\): download it .* local-dir:"):
        find_model("hf-hub:someone/some-clip")


def test_an_encoder_that_is_not_there_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"hf_model_name": "nobody/nothing", "context_length": 20}
    described = {"model_cfg": CONFIG | {"text_cfg": text, "custom_text": True}}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    monkeypatch.setattr(hf_model, "transformers", None)
    with pytest.raises(BackboneError, match=r"text tower nobody/nothing .* 'dpl_nas\[hf\]'"):
        load_backbone(BackboneConfig(model=f"local-dir:{folder}", pretrained="random"))


def test_a_damaged_description_is_told(folder: Path) -> None:
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="model_cfg"):
        find_model(f"local-dir:{folder}")
