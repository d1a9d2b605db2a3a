"""Loading frozen CLIPs: both layouts of checkpoint, and everything that can be wrong."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import factory
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from dpl_nas.backbone import Backbone, check_layers, load_backbone, loading
from dpl_nas.errors import (
    ArchitectureError,
    BackboneError,
    CheckpointError,
    ConfigError,
    DplWarning,
)
from dpl_nas.mini.model import IMAGE_MEAN, IMAGE_STD, seen_tokens
from dpl_nas.space import BackboneConfig

TINY = "tiny-for-tests"
CUSTOM = "tiny-for-tests-custom-text"
CONFIG: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": {"layers": 2, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 24},
    "text_cfg": {"layers": 3, "width": 16, "heads": 2, "context_length": 20},
}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two models of this file's own in open_clip's list, taken out of it afterwards."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    (folder / f"{CUSTOM}.json").write_text(json.dumps({**CONFIG, "custom_text": True}))
    open_clip.add_model_config(folder)
    yield
    factory._MODEL_CONFIG_PATHS.remove(folder)
    for name in (TINY, CUSTOM):
        del factory._MODEL_CONFIGS[name]


def config(**settings: Any) -> BackboneConfig:
    return BackboneConfig(**{"model": TINY, **settings})


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_backbone(config(pretrained="random", seed=7)).model.state_dict()
    return state


def pictures() -> Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def has_quick_gelu(backbone: Backbone) -> bool:
    kinds = {
        type(block.mlp.gelu).__name__
        for tower in (backbone.model.visual, getattr(backbone.model, "text", backbone.model))
        for block in tower.transformer.resblocks
    }
    assert len(kinds) == 1
    return kinds == {"QuickGELU"}


def test_mini_clip_brings_its_own_parts(mini_weights: Path) -> None:
    backbone = load_backbone(BackboneConfig(pretrained=str(mini_weights), precision="bf16"))
    assert (backbone.name, backbone.precision) == ("mini-clip", "bf16")
    assert backbone.mean == pytest.approx(IMAGE_MEAN, abs=1e-6)
    assert backbone.std == pytest.approx(IMAGE_STD, abs=1e-6)
    assert len(backbone.text_inputs(["a dog"])) == 1
    assert backbone.seen == seen_tokens(mini_weights)
    assert set(backbone.tokenize(["a red circle"])[0, :5].tolist()) <= backbone.seen
    assert load_backbone(BackboneConfig()).seen == seen_tokens() > backbone.seen
    with pytest.raises(BackboneError, match="brings its own quick_gelu"):
        load_backbone(BackboneConfig(quick_gelu=True))


def test_what_a_backbone_tells() -> None:
    backbone = load_backbone(config(pretrained="random"))
    assert backbone.name == TINY
    assert backbone.precision == "fp32"
    assert backbone.layers == {"image": 2, "text": 3}
    assert backbone.widths == {"image": 32, "text": 16}
    assert backbone.image_size == 24
    assert backbone.mean == open_clip.OPENAI_DATASET_MEAN
    assert backbone.std == open_clip.OPENAI_DATASET_STD
    assert backbone.device == torch.device("cpu")
    assert not backbone.model.training
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert copy.deepcopy(backbone) is backbone
    tokens = backbone.tokenize(["a dog", "a photo of a cat."])
    assert tokens.shape == (2, 20)
    assert tokens.dtype == torch.int64
    assert tokens[0, :4].tolist() == [49406, 320, 1929, 49407]


def test_a_name_is_enough() -> None:
    named = load_backbone(TINY, pretrained="random", seed=7)
    assert named.fingerprint == load_backbone(config(pretrained="random", seed=7)).fingerprint
    with pytest.raises(ConfigError, match="load_backbone: unknown key pretraind"):
        load_backbone(TINY, pretraind="random")
    with pytest.raises(ConfigError, match="no settings beside a BackboneConfig, found seed"):
        load_backbone(config(pretrained="random"), seed=7)


def test_preprocessing_is_open_clips_own() -> None:
    backbone = load_backbone(config(pretrained="random"))
    picture = Image.radial_gradient("L").resize((60, 40)).convert("RGB")
    expected = open_clip.image_transform(24, is_train=False)(picture)
    assert torch.equal(backbone.preprocess(picture), expected)


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first = load_backbone(config(pretrained="random", seed=1)).fingerprint
    assert torch.equal(torch.random.get_rng_state(), before)
    assert load_backbone(config(pretrained="random", seed=1)).fingerprint == first
    assert load_backbone(config(pretrained="random", seed=2)).fingerprint != first


def test_the_fingerprint_sees_one_weight(weights: dict[str, Tensor]) -> None:
    backbone = load_backbone(config(pretrained="random", seed=7))
    again = load_backbone(config(pretrained="random", seed=7))
    again.model.visual.proj.data[0, 0] += 1e-3
    assert len(backbone.fingerprint) == 16
    assert int(backbone.fingerprint, 16) >= 0
    assert backbone.fingerprint != again.fingerprint


def test_bfloat16() -> None:
    backbone = load_backbone(config(pretrained="random", precision="bf16"))
    for parameter in backbone.model.parameters():
        expected = torch.bfloat16 if parameter.ndim > 1 else torch.float32
        assert parameter.dtype == expected
    assert backbone.fingerprint != load_backbone(config(pretrained="random")).fingerprint


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("wrapping", ["plain", "half", "training", "openai"])
def test_checkpoints_round_trip(
    tmp_path: Path, weights: dict[str, Tensor], suffix: str, wrapping: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    state: dict[str, Any] = {name: tensor.clone() for name, tensor in weights.items()}
    if wrapping in ("half", "openai"):
        state = {name: tensor.half() for name, tensor in state.items()}
    if wrapping == "openai":
        sizes = {"input_resolution": 24, "context_length": 20, "vocab_size": 49408}
        state.update({name: torch.tensor(value) for name, value in sizes.items()})
    if wrapping == "training":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if wrapping == "training" else state, path)

    with (
        nullcontext()
        if wrapping == "openai"
        else pytest.warns(DplWarning, match="GELU is used: set space.backbone.quick_gelu")
    ):
        backbone = load_backbone(config(pretrained=str(path)))
    half = wrapping in ("half", "openai")
    for name, tensor in backbone.model.state_dict().items():
        assert torch.equal(tensor, weights[name].half().float() if half else weights[name]), name
    assert has_quick_gelu(backbone) == (wrapping == "openai")


# Writing such archives is deprecated; reading OpenAI's files is what is tested.
@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:FutureWarning")
def test_openais_own_archive(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    class Archive(torch.nn.Module):
        """Weights under their names, with the sizes as buffers, as OpenAI scripts them."""

        def forward(self, x: Tensor) -> Tensor:
            return x

    def add(module: torch.nn.Module, name: str, tensor: Tensor) -> None:
        first, dot, rest = name.partition(".")
        if dot:
            if not hasattr(module, first):
                module.add_module(first, Archive())
            add(getattr(module, first), rest, tensor)
        else:
            module.register_buffer(first, tensor)

    archive = Archive()
    for name, tensor in weights.items():
        add(archive, name, tensor.half())
    for name, value in {"input_resolution": 24, "context_length": 20, "vocab_size": 49408}.items():
        archive.register_buffer(name, torch.tensor(value))
    path = tmp_path / "ViT.pt"
    torch.jit.save(torch.jit.trace(archive, torch.zeros(1)), path)  # type: ignore[no-untyped-call]
    backbone = load_backbone(config(pretrained=str(path)))
    assert has_quick_gelu(backbone)
    assert torch.equal(backbone.model.visual.proj, weights["visual.proj"].half().float())


def test_a_plain_layout_fills_a_separate_text_tower(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(dict(weights), path)
    plain = load_backbone(config(pretrained=str(path), quick_gelu=False))
    custom = load_backbone(config(model=CUSTOM, pretrained=str(path), quick_gelu=False))
    assert custom.layers == plain.layers
    tokens = plain.tokenize(["a dog"])
    torch.testing.assert_close(custom.model.encode_text(tokens), plain.model.encode_text(tokens))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file(tmp_path: Path, weights: dict[str, Tensor], suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(dict(weights), path)
    else:
        save_file(dict(weights), path)
    whole = path.read_bytes()
    for size in (0, 7, 1000, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="truncated or not a file of weights"):
            load_backbone(config(pretrained=str(path)))


class NotWeights:
    """Something that only unrestricted unpickling would build."""


def test_foreign_files(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path = tmp_path / "weights.pt"

    def complaint() -> str:
        with pytest.raises(CheckpointError) as caught:
            load_backbone(config(pretrained=str(path)))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    path.write_text("hello")
    assert "truncated or not a file of weights" in complaint()
    torch.save(NotWeights(), path)
    assert "NotWeights, which dpl_nas does not read: save only the state_dict" in complaint()
    torch.save(torch.zeros(3), path)
    assert "should hold the state_dict of a model, found none" in complaint()
    torch.save({}, path)
    assert "should hold the state_dict of a model, found none" in complaint()
    torch.save({**weights, "epoch": 3}, path)
    assert "should hold only tensors, found epoch" in complaint()
    torch.save({"linear.weight": torch.zeros(3, 3)}, path)
    assert f"does not hold a {TINY}" in complaint()
    missing = dict(weights)
    del missing["ln_final.bias"]
    torch.save(missing, path)
    assert "1 names are missing or unknown, such as ln_final.bias" in complaint()
    torch.save({**weights, "visual.positional_embedding": torch.zeros(5, 32)}, path)
    assert "visual.positional_embedding should be (10, 32), found (5, 32)" in complaint()
    torch.save({**weights, "visual.proj": weights["visual.proj"] * torch.nan}, path)
    assert "visual.proj holds values that are not finite" in complaint()
    path.unlink()
    with pytest.raises(BackboneError, match=f"is neither a tag of {TINY} nor a file"):
        load_backbone(config(pretrained=str(path)))
    path.mkdir()
    with pytest.raises(BackboneError, match="is a folder, not a file of weights: set space"):
        load_backbone(config(pretrained=str(path)))


def test_weights_must_be_asked_for() -> None:
    with pytest.raises(
        BackboneError,
        match=f"{TINY} needs weights: set .*pretrained to the path of a file, or random",
    ):
        load_backbone(config())
    with pytest.raises(BackboneError, match=r"ViT-B-16 needs weights: .*openai, laion400m_e31"):
        load_backbone(config(model="ViT-B/16"))


def test_a_pipe_is_called_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        load_backbone(config(pretrained=str(tmp_path / "weights.pt")))


def test_an_unknown_tag_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        BackboneError, match=r"openia is neither a tag of ViT-B-32 nor .*\(openai, "
    ):
        load_backbone(config(model="ViT-B-32", pretrained="openia"))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("ViT-Z-99", "open_clip does not know it"),
        ("ViT-B-17", "open_clip does not know it (did you mean ViT-B-16?)"),
        ("other:ViT-B-16", "open_clip does not know it"),
    ],
)
def test_unsupported_models_are_refused_by_name(model: str, reason: str) -> None:
    with pytest.raises(BackboneError) as caught:
        load_backbone(config(model=model, pretrained="random"))
    assert str(caught.value).startswith(f"{model} cannot be the backbone, since {reason}")
    assert "dpl-nas backbones lists those that can" in str(caught.value)


def test_models_in_memory_are_judged_too() -> None:
    def build(**vision: Any) -> torch.nn.Module:
        model: torch.nn.Module = open_clip.CLIP(
            **{**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], **vision}}
        )
        return model

    neither = open_clip.CLIP(
        **{
            key: {**value, "qk_norm": True} if isinstance(value, dict) else value
            for key, value in CONFIG.items()
        }
    )
    for model, reason in {
        neither: "its image tower has blocks of .*Custom.* and its text tower has blocks of",
        torch.nn.Linear(
            1, 1
        ): "it is a Linear, neither a CLIP of open_clip nor a vision transformer of timm",
        build(image_size=(24, 32)): "square images, found .* with 24 x 32",
    }.items():
        with pytest.raises(BackboneError, match=reason):
            Backbone.from_model(model)


def test_a_tower_without_attention_is_used_as_it_is() -> None:
    vision = {**CONFIG["vision_cfg"], "layers": (1, 1, 1, 1), "image_size": 32}
    backbone = Backbone.from_model(open_clip.CLIP(**{**CONFIG, "vision_cfg": vision}))
    assert backbone.layers["image"] == 0
    with pytest.raises(ArchitectureError, match=r"image/0, .* since its image tower is a Modif.*"):
        check_layers(backbone, "image", [0], asks="the space has")


def test_without_a_tokenizer_captions_are_refused() -> None:
    backbone = Backbone.from_model(open_clip.CLIP(**CONFIG))
    with pytest.raises(BackboneError, match="custom has no tokenizer"):
        backbone.text_inputs(["a dog"])


def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tag: dict[str, Any]) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(loading, "download_pretrained", fail)
    with pytest.raises(BackboneError, match=r"openai of ViT-B-32 could not .*path of the file"):
        load_backbone(config(model="ViT-B-32", pretrained="openai"))


def test_a_tag_brings_its_activation_and_normalisation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(dict(weights), path)
    tag = {"quick_gelu": True, "mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3), "url": "nowhere"}
    monkeypatch.setattr(loading, "get_pretrained_cfg", lambda model, name: tag)
    monkeypatch.setattr(loading, "download_pretrained", lambda tag: str(path))
    backbone = load_backbone(config(pretrained="some_tag"))
    assert has_quick_gelu(backbone)
    assert backbone.mean == (0.5, 0.4, 0.3)
    assert backbone.std == (0.1, 0.2, 0.3)
    black = backbone.preprocess(Image.new("RGB", (24, 24)))
    assert black[:, 0, 0].tolist() == pytest.approx([-5.0, -2.0, -1.0])


@pytest.mark.slow
def test_a_real_architecture(tmp_path: Path) -> None:
    """ViT-B/32 at full size, written by torch as open_clip's users would, and read again."""
    backbone = load_backbone(config(model="ViT-B-32", pretrained="random"))
    path = tmp_path / "vit.pt"
    torch.save({k: v.half() for k, v in backbone.model.state_dict().items()}, path)
    again = load_backbone(config(model="ViT-B-32-quickgelu", pretrained=str(path)))
    assert has_quick_gelu(again)
    assert again.layers == {"image": 12, "text": 12}
    with pytest.raises(
        CheckpointError, match=r"visual.positional_embedding should be \(197, 768\)"
    ):
        load_backbone(config(model="ViT-B-16", pretrained=str(path)))


def test_the_configuration_is_strict() -> None:
    assert BackboneConfig().model == "mini-clip"
    for wrong in (
        {"precision": "fp8"},
        {"seed": -1},
        {"seed": 1.5},
        {"model": ""},
        {"weights": "openai"},
    ):
        with pytest.raises(ConfigError):
            BackboneConfig(**wrong)


def test_the_configuration_needs_no_torch() -> None:
    code = "import sys, dpl_nas.space; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
