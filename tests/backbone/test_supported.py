"""What open_clip's models can carry: every configuration is built, without memory for weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import factory

from dpl_nas.backbone import list_models, load_backbone, model_facts, tower_depths
from dpl_nas.errors import BackboneError
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.space import BackboneConfig
from tests.word_tokenizer import save_tokenizer


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
    with pytest.raises(BackboneError, match=r"did you mean ViT-B-16\?"):
        model_facts("vit-b-16")


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


#: Sizes that make every configuration small.
_IMAGE = {"layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "image_size": 16}
_SIZES = {"width": 16, "heads": 2, "layers": 2}
#: Encoders by the beginning of their names.
_ENCODERS: dict[str, dict[str, Any]] = {
    "roberta": {"kind": "roberta", "hidden_size": 16, "num_attention_heads": 2},
    "xlm-roberta": {"kind": "xlm-roberta", "hidden_size": 16, "num_attention_heads": 2},
    "google/mt5": {"kind": "mt5", "d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 32},
    "facebook/nllb": {
        "kind": "m2m_100",
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
    },
}
_MORE = {"num_hidden_layers": 2, "intermediate_size": 32, "max_position_embeddings": 90}
_WORDS = ("<pad>", "</s>", "<s>", "<unk>", "a", "photo", "of", "dog", ".")


_SPECIAL = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
}


def _save_encoder(folder: Path, name: str) -> None:
    """An encoder of the kind of ``name``, with a tokenizer, as the Hub has them."""
    from transformers import AutoConfig

    settings = dict(next(own for start, own in _ENCODERS.items() if name.startswith(start)))
    kind = settings.pop("kind")
    settings |= {"vocab_size": 20, "pad_token_id": 0, "eos_token_id": 1}
    if kind != "mt5":
        settings |= _MORE
    AutoConfig.for_model(kind, **settings).save_pretrained(folder)
    save_tokenizer(folder, _WORDS, end="</s>", **_SPECIAL)


def _small(name: str, folder: Path) -> dict[str, Any]:
    """A configuration of open_clip with its text tower and a plain image tower, made small."""
    settings: dict[str, Any] = json.loads(json.dumps(open_clip.get_model_config(name)))
    text = settings["text_cfg"]
    if "hf_model_name" in text:
        own = folder / text["hf_model_name"].replace("/", "-")
        _save_encoder(own, text["hf_model_name"])
        text |= {"hf_model_name": str(own), "hf_tokenizer_name": str(own)}
    else:
        text |= _SIZES
        if "hf_tokenizer_name" in text:
            own = folder / "tokenizer"
            save_tokenizer(own, _WORDS, end="</s>", **_SPECIAL)
            text |= {"hf_tokenizer_name": str(own), "vocab_size": 20}
        if "eos_id" in text:
            # Of the tokenizer above.
            text["eos_id"] = 1
    image = dict(_IMAGE)
    if "multimodal_cfg" in settings:
        settings["multimodal_cfg"] = {"context_length": 76, "vocab_size": 20} | _SIZES
        image |= {"output_tokens": True}
    return settings | {"vision_cfg": image, "embed_dim": 16}


@pytest.fixture(scope="module")
def smalls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Names of all different ones, which open_clip knows meanwhile."""
    folder = tmp_path_factory.mktemp("small")
    known = [each for each in open_clip.list_models() if not each.startswith(("mini-", "test-"))]
    different: dict[str, str] = {}
    for name in known:
        different.setdefault(json.dumps(_small(name, folder), sort_keys=True), name)
    files = []
    for content, name in different.items():
        # Of a name with SigLIP, open_clip takes the tokenizer from its own list.
        files.append(folder / f"small-{name.replace('SigLIP', 'S')}.json")
        files[-1].write_text(content)
        open_clip.add_model_config(files[-1])
    yield [each.stem for each in files]
    for file in files:
        factory._MODEL_CONFIG_PATHS.remove(file)
        del factory._MODEL_CONFIGS[file.stem]


def test_every_text_tower_is_loaded_as_open_clip_builds_it(smalls: list[str]) -> None:
    """What the list of models says can be searched reads captions as the model does."""
    assert len(smalls) > 20
    for name in smalls:
        backbone = load_backbone(BackboneConfig(model=name, pretrained="random"))
        model: Any = backbone.model
        kind = open_clip.create_model(name, pretrained_hf=False)
        assert type(model) is type(kind), name
        tokens = open_clip.get_tokenizer(name)(["a photo of a dog.", "a dog"])
        own = _text_features(model, tokens)
        found = PromptedCLIP(backbone, {}).encode_text(backbone.text_inputs_of(tokens))
        torch.testing.assert_close(found, own, rtol=1e-5, atol=1e-5, msg=name)


@torch.no_grad()
def _text_features(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    if isinstance(model, open_clip.CoCa):
        features: torch.Tensor = model._encode_text(tokens, normalize=False)[0]
    else:
        features = model.encode_text(tokens)
    return features
