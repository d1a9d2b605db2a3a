"""The shipped language model: loading, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from dpl_nas.errors import CheckpointError
from dpl_nas.glosses import model
from dpl_nas.glosses.model import (
    CONTEXT_LENGTH,
    LAYERS,
    WEIGHTS,
    WIDTH,
    build_gloss_decoder,
    load_gloss_decoder,
    save_gloss_decoder,
)
from dpl_nas.glosses.tokens import TOKENIZER, VOCABULARY_SIZE, load_gloss_tokenizer


def test_it_is_a_gpt_2_of_the_stated_sizes() -> None:
    from transformers import GPT2LMHeadModel

    shipped = load_gloss_decoder()
    assert type(shipped) is GPT2LMHeadModel
    assert not shipped.training
    assert 8 <= len(shipped.transformer.h) == LAYERS <= 12
    assert shipped.transformer.wte.weight.shape == (VOCABULARY_SIZE, WIDTH)
    assert shipped.transformer.wpe.weight.shape == (CONTEXT_LENGTH, WIDTH)
    assert shipped.lm_head.weight is shipped.transformer.wte.weight
    assert {value.dtype for value in shipped.parameters()} == {torch.float32}
    dropouts = [each.p for each in shipped.modules() if isinstance(each, torch.nn.Dropout)]
    assert set(dropouts) == {0.0}


def test_the_files_are_small() -> None:
    assert WEIGHTS.stat().st_size + TOKENIZER.stat().st_size <= 4_000_000


def test_it_says_what_fits() -> None:
    """Words that follow in English are more likely than the same in disorder."""
    shipped, codec = load_gloss_decoder(), load_gloss_tokenizer()

    def loss(text: str) -> float:
        tokens = torch.tensor([codec(text)["input_ids"]])
        with torch.no_grad():
            logits = shipped(tokens).logits[0, :-1]
        return float(torch.nn.functional.cross_entropy(logits, tokens[0, 1:]))

    ordered = loss("a small bird that lives in the forests of south america .")
    assert ordered < loss("forests a of in lives small the america that south bird .") - 1
    assert ordered < 5


def test_saved_weights_load_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    built = build_gloss_decoder()
    save_gloss_decoder(path, built)
    loaded = load_gloss_decoder(path)
    for name, value in built.named_parameters():
        assert torch.equal(loaded.get_parameter(name), value.half().float())


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    load_gloss_decoder()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(WEIGHTS.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"short\.safetensors is truncated"):
        load_gloss_decoder(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_gloss_decoder(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="is a folder: give a file"):
        load_gloss_decoder(tmp_path)


def test_damage_to_the_shipped_weights_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    monkeypatch.setattr(model, "WEIGHTS", path)
    with pytest.raises(CheckpointError, match="is damaged or of another version: install"):
        load_gloss_decoder()


def test_weights_of_other_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_gloss_decoder(path, build_gloss_decoder(layers=1))
    with pytest.raises(CheckpointError, match="does not hold the weights of the gloss decoder"):
        load_gloss_decoder(path)
    path.write_bytes(save({"weight": torch.zeros(3)}))
    with pytest.raises(CheckpointError, match="does not hold the weights of the gloss decoder"):
        load_gloss_decoder(path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    state = load(WEIGHTS.read_bytes())
    state["ln_f.bias"][0] = torch.nan
    path.write_bytes(save(state, {"format": "dpl_nas gloss decoder 1"}))
    with pytest.raises(CheckpointError, match="holds values that are not finite"):
        load_gloss_decoder(path)
