"""Language models by name: their weights, how they read texts, and what is refused."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dpl_nas.backbone import load_backbone, tower_depths
from dpl_nas.backbone.decoders import PADDING
from dpl_nas.backbone.language_models import Reader, load_decoder
from dpl_nas.errors import ArchitectureError, BackboneError, CheckpointError
from dpl_nas.prompted import Context, PromptedCLIP
from dpl_nas.space import BackboneConfig
from dpl_nas.tasks.texts import Prompt, TextSet
from tests.backbone.decoder_folder import WORDS, save_decoder


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_decoder(tmp_path_factory.mktemp(request.param), request.param)


def prompt(text: str, template: str = "{text} Topic: {}") -> Prompt:
    found: Prompt = TextSet([text], [0], template).image(0)
    return found


def ids(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


def test_a_folder_gives_weights_and_tokenizer(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    name = f"hf:{folder}"
    backbone = load_backbone(BackboneConfig(model=name))
    assert backbone.layers == tower_depths(name) == {"image": 0, "text": 3}
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = torch.tensor([ids("the film was fine Topic :")])
    expected = model(tokens).logits[0, -1, ids("good bad")]
    read = backbone.preprocess(prompt("the film was fine"))[None]
    classes = backbone.class_inputs(backbone.word_features(["good", "bad"]))
    found = PromptedCLIP(backbone, {})(read, classes)[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_random_weights_depend_on_the_seed_alone(folder: Path) -> None:
    def made(seed: int) -> str:
        config = BackboneConfig(model=f"hf:{folder}", pretrained="random", seed=seed)
        return load_backbone(config).fingerprint

    before = torch.get_rng_state()
    assert made(1) == made(1) != made(2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.fixture(scope="module")
def reader(folder: Path) -> Reader:
    return load_decoder(f"hf:{folder}")[1]


def test_a_text_stands_in_its_template(reader: Reader) -> None:
    tokens = reader(prompt("the film", "film: {text} Topic: {} was")).tolist()
    assert tokens == [*ids("film : the film Topic :"), *[PADDING] * (24 - 6)]
    assert reader.words(["good", "bad film"]) == ids("good bad")


def test_the_end_of_a_text_without_room_is_left_out(reader: Reader) -> None:
    whole = "the film was fine " * 10
    assert reader.cuts(prompt(whole))
    assert not reader.cuts(prompt("the film was fine " * 5))
    tokens = reader(prompt(whole)).tolist()
    assert len(tokens) == 24
    assert tokens == [*ids(whole)[:22], *ids("Topic :")]
    with pytest.raises(BackboneError, match="the template alone takes 29 tokens, and there is"):
        reader(prompt(whole, "{text}" + " film" * 29 + " {}"))


def test_a_word_needs_a_token(reader: Reader) -> None:
    with pytest.raises(BackboneError, match="a word for each class, found '', which has no token"):
        reader.words(["good", ""])


def test_lost_weights_are_not_drawn_at_random(tmp_path: Path) -> None:
    folder = save_decoder(tmp_path, "llama")
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "layers.1" not in k}, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack 9 of its tensors, such as model.layers.1"):
        load_decoder(f"hf:{folder}")
    broken = weights | {"model.norm.weight": torch.full((32,), torch.nan)}
    save_file(broken, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"are damaged: model.norm.weight is not finite"):
        load_decoder(f"hf:{folder}")
    file.write_bytes(b"nothing")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load_decoder(f"hf:{folder}")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = save_decoder(tmp_path)
    file = folder / "model.safetensors"
    torch.save(load_file(file), folder / "pytorch_model.bin")
    file.unlink()
    with pytest.raises(BackboneError, match=r"give a folder with config.json, the tokenizer and"):
        load_decoder(f"hf:{folder}")


def test_code_of_a_model_is_not_run(tmp_path: Path) -> None:
    folder = save_decoder(tmp_path)
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load_decoder(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf:", r"expected hf:FOLDER or hf:OWNER/NAME, also with @REVISION, found hf:"),
        ("hf:/no/such/folder", "hf:/no/such/folder leads nowhere: there is no folder"),
        ("hf:a/b/c", r"expected hf:FOLDER or hf:OWNER/NAME"),
        ("hf:nobody/nothing-at-all@main", "cannot be loaded"),
    ],
)
def test_names_that_lead_nowhere(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=words):
        load_backbone(BackboneConfig(model=name))


def test_other_kinds_and_settings_are_refused(tmp_path: Path, folder: Path) -> None:
    from transformers import AutoConfig

    AutoConfig.for_model("bloom", hidden_size=8, n_layer=1, n_head=2).save_pretrained(tmp_path)
    with pytest.raises(
        BackboneError, match="cannot be the backbone, since it is Hugging Face's bl"
    ):
        tower_depths(f"hf:{tmp_path}")
    with pytest.raises(BackboneError, match="brings all of its settings"):
        load_backbone(BackboneConfig(model=f"hf:{folder}", pretrained="weights.pt"))
    backbone = load_backbone(BackboneConfig(model=f"hf:{folder}"))
    with pytest.raises(ArchitectureError, match=r"image/0, .* since it is a language model"):
        PromptedCLIP(backbone, {"image": {0: Context(1, 32)}})
    with pytest.raises(BackboneError, match="captions cannot stand for classes"):
        backbone.text_inputs(["good"])


def test_without_transformers_there_is_advice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "transformers":
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(BackboneError, match=r"install it with pip install 'dpl_nas\[hf\]'"):
        load_decoder(f"hf:{folder}")
