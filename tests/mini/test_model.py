"""The shipped model: loading, tokens, its gates."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.mini import model
from dpl_nas.mini.gates import measure_gates, normalize
from dpl_nas.mini.model import (
    MINI_CONFIG,
    WEIGHTS,
    build_mini_clip,
    load_mini_clip,
    mini_preprocess,
    mini_tokenizer,
    save_mini_clip,
)
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, VOCABULARY_SIZE, find_tokens
from dpl_nas.mini.words import WORDS


@pytest.fixture(scope="module")
def shipped() -> CLIP:
    return load_mini_clip()


def test_it_is_an_open_clip_of_the_stated_sizes(shipped: CLIP) -> None:
    assert type(shipped) is CLIP
    assert not shipped.training
    assert shipped.token_embedding.weight.shape == (VOCABULARY_SIZE, MINI_CONFIG.width)
    assert len(shipped.visual.transformer.resblocks) == MINI_CONFIG.layers
    assert len(shipped.transformer.resblocks) == MINI_CONFIG.layers
    assert {value.dtype for value in shipped.parameters()} == {torch.float32}


def test_the_file_is_small() -> None:
    assert WEIGHTS.stat().st_size + WORDS.stat().st_size <= 8_000_000


def test_the_whole_table_equals_the_learned_one(tmp_path: Path) -> None:
    tokens = torch.tensor(find_tokens(["a photo of a red star.", "three circles."]))
    learned = build_mini_clip(tokens=tokens).eval()
    with torch.no_grad():
        for value in learned.parameters():
            value.copy_(value.half())
    save_mini_clip(tmp_path / "weights.safetensors", learned.state_dict())
    whole = load_mini_clip(tmp_path / "weights.safetensors")
    ids = mini_tokenizer()(["a photo of a red star.", "three circles.", "a jellyfish by a lake"])
    with torch.no_grad():
        assert torch.allclose(whole.encode_text(ids), learned.encode_text(ids), atol=1e-6)


def test_no_token_is_without_a_meaning_of_its_own(mini_weights: Path) -> None:
    table = load_mini_clip(mini_weights).token_embedding.weight
    assert (table.norm(dim=1) > 0).all()
    words = mini_tokenizer()(["stingray", "tapir", "tapirs", "zeppelin", "okapi"])
    features = load_mini_clip(mini_weights).encode_text(words, normalize=True)
    assert (features @ features.T).fill_diagonal_(0).max() < 0.999


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    load_mini_clip()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(WEIGHTS.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"short\.safetensors is truncated"):
        load_mini_clip(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_mini_clip(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="is a folder: give the file of weights"):
        load_mini_clip(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe is a pipe or a device"):
        load_mini_clip(tmp_path / "pipe")


def test_damage_to_the_shipped_weights_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    monkeypatch.setattr(model, "WEIGHTS", path)
    with pytest.raises(CheckpointError, match="is damaged or of another version: install"):
        load_mini_clip()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("logit_scale", torch.tensor(torch.nan), "values that are not finite"),
        ("token_embedding.tokens", torch.full((2,), VOCABULARY_SIZE), "does not hold the weights"),
        ("token_embedding.tokens", torch.full((2,), -1), "does not hold the weights"),
        ("token_embedding.seen", torch.tensor([[1, 2]]), "does not hold the weights"),
    ],
)
def test_weights_that_cannot_be_are_refused(
    tmp_path: Path, name: str, value: Tensor, words: str
) -> None:
    path = tmp_path / "weights.safetensors"
    state = build_mini_clip(tokens=torch.tensor([1, 2])).state_dict()
    save_mini_clip(path, {**state, name: value})
    with pytest.raises(CheckpointError, match=words):
        load_mini_clip(path)


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_mini_clip(path, {"weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="does not hold the weights of mini-clip"):
        load_mini_clip(path)


def test_preprocessing_is_the_normalisation_of_pre_training() -> None:
    pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    image = mini_preprocess()(Image.fromarray(pixels.numpy()))
    expected = normalize(pixels.permute(2, 0, 1).unsqueeze(0) / 255)[0]
    assert torch.allclose(image, expected, atol=1e-6)
    assert mini_preprocess()(Image.new("RGB", (8, 8))).shape == (3, 32, 32)


def test_tokens_have_the_models_context() -> None:
    assert mini_tokenizer()(["a circle"]).shape == (1, CONTEXT_LENGTH)


def test_the_shipped_model_reaches_its_gates(shipped: CLIP) -> None:
    report = measure_gates(shipped, images=400)
    assert report.passed, report
