"""Whole runs on small random models of every family of towers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
from open_clip import factory
from timm.models import register_model
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from dpl_nas import runs
from dpl_nas.classifier.fitting import FitSettings
from dpl_nas.classifier.folder import fit_folder
from dpl_nas.config import RunConfig
from dpl_nas.errors import CheckpointError, ConfigError, DplWarning, SpaceError, TaskError
from dpl_nas.tasks import load_task
from dpl_nas.training import evaluate
from tests.backbone.decoder_folder import save_decoder
from tests.word_tokenizer import save_tokenizer

VISION = {"layers": 3, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 24}
TEXT = {"layers": 2, "width": 16, "heads": 2, "context_length": 20, "vocab_size": 49408}
SIGLIP_TEXT = TEXT | {"no_causal_mask": True, "pool_type": "last", "proj_bias": True}
SMALL = {"img_size": 24, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}


@register_model
def dpl_test_siglip(pretrained: bool = False, **settings: Any) -> VisionTransformer:
    """As SigLIP 2: no class token, attentional pooling."""
    del pretrained
    own = {"class_token": False, "global_pool": "map"}
    return _configured(VisionTransformer(**(SMALL | own | _known(settings))))


@register_model
def dpl_test_eva(pretrained: bool = False, **settings: Any) -> Eva:
    """As EVA-02: rotary positions, norms inside attention and MLP."""
    del pretrained
    own = {"use_rot_pos_emb": True, "scale_mlp": True, "swiglu_mlp": True, "qkv_fused": False}
    return _configured(Eva(**(SMALL | own | {"scale_attn_inner": True} | _known(settings))))


@register_model
def dpl_test_pe(pretrained: bool = False, **settings: Any) -> Eva:
    """As PE-Core: rotary positions, a norm before the first block, attentional pooling."""
    del pretrained
    own = {"use_rot_pos_emb": True, "attn_type": "rope", "use_pre_transformer_norm": True}
    own |= {"class_token": True, "global_pool": "map", "use_fc_norm": False}
    return _configured(Eva(**(SMALL | own | _known(settings))))


def _configured(model: Any) -> Any:
    """As timm's own builder does: open_clip asks for it."""
    model.default_cfg = {"pool_size": None}
    return model


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in ("num_classes", "global_pool") if key in settings}


def _timm(name: str) -> dict[str, Any]:
    return {"timm_model_name": name, "timm_pool": "", "timm_proj": "linear", "image_size": 24}


#: Models, and the towers that are searched. Of a name with SigLIP, open_clip takes a tokenizer of
#: Hugging Face's.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "sigmoid": (_timm("dpl_test_siglip"), SIGLIP_TEXT, ("image", "text")),
    "eva": (_timm("dpl_test_eva"), TEXT, ("image", "text")),
    "pe": (_timm("dpl_test_pe"), TEXT | {"pool_type": "argmax"}, ("image", "text")),
    "clipa": (
        VISION | {"pool_type": "avg", "final_ln_after_pool": True},
        TEXT | {"no_causal_mask": True},
        ("image", "text"),
    ),
    # As MetaCLIP 2's: the parts of the text tower are the CLIP's own.
    "worldwide": (VISION, TEXT | {"pool_type": "eos", "eos_id": 49407}, ("image", "text")),
    "resnet": (
        {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32, "patch_size": None},
        TEXT,
        ("text",),
    ),
}


def encoder(folder: Path) -> dict[str, Any]:
    """A small encoder of transformers with its tokenizer in a folder, as the Hub has them."""
    from transformers import AutoConfig

    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    words = [*special.values(), "a", "photo", "of", "thing", "dark", "square", "grey", "white", "."]
    save_tokenizer(folder, words, **special)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "vocab_size": len(words), "pad_token_id": 1}
    AutoConfig.for_model("xlm-roberta", max_position_embeddings=30, **sizes).save_pretrained(folder)
    named = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder)}
    return named | {"hf_model_pretrained": False, "hf_proj_type": "mlp", "context_length": 20}


def of_texts(run_config: RunConfig, folder: Path, kind: str) -> RunConfig:
    """A run of a decoder on reviews whose words tell their class."""
    save_decoder(folder / "decoder", kind)
    words = {"good": ("fine", "great"), "bad": ("awful", "dull")}
    lines = [
        f"the film was {words[label][number % 2]} {' the' * (number % 5)} film {number},{label},"
        f"{'train' if number < 12 else 'test'}"
        for number in range(24)
        for label in words
    ]
    file = folder / "films.csv"
    file.write_text("\n".join(["text,label,split", *lines]))
    content = run_config.model_dump(mode="json")
    content["task"] = str(file)
    content["space"]["backbone"] = {"model": f"hf:{folder / 'decoder'}"}
    del content["space"]["towers"]["image"]
    return RunConfig.model_validate(content)


@pytest.fixture(params=[*MODELS, "xlm-r", "images alone", "gpt2", "llama"])
def config(
    request: pytest.FixtureRequest, run_config: RunConfig, tmp_path: Path
) -> Iterator[RunConfig]:
    if request.param == "xlm-r":
        vision, text, towers = VISION, encoder(tmp_path / "encoder"), ("image", "text")
    elif request.param in ("gpt2", "llama"):
        yield of_texts(run_config, tmp_path, request.param)
        return
    elif request.param == "images alone":
        content = run_config.model_dump(mode="json")
        content["space"]["backbone"] = {"model": "timm:dpl_test_siglip", "pretrained": "random"}
        del content["space"]["towers"]["text"]
        yield RunConfig.model_validate(content)
        return
    else:
        vision, text, towers = MODELS[request.param]
    name = f"test-{request.param}"
    file = tmp_path / f"{name}.json"
    model = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    custom = "timm_model_name" in vision
    file.write_text(json.dumps(model | {"custom_text": custom}))
    open_clip.add_model_config(file)
    content = run_config.model_dump(mode="json")
    content["space"]["backbone"] = {"model": name, "pretrained": "random"}
    own = content["space"]["towers"]
    content["space"]["towers"] = {tower: own[tower] for tower in towers}
    yield RunConfig.model_validate(content)
    factory._MODEL_CONFIG_PATHS.remove(file)
    del factory._MODEL_CONFIGS[name]


def test_a_run_searches_trains_and_tests(config: RunConfig, tmp_path: Path) -> None:
    result = runs.run(config, tmp_path / "run", quiet=True)
    assert set(result.lengths) == set(config.space.towers)
    means = config.space.backbone.classes_by == "means"
    beside = {"class_means", "linear_probe"} if means else {"zero_shot"}
    assert set(result.test) >= {"found", *beside}
    again = runs.evaluate(tmp_path / "run", quiet=True)
    assert again.test["found"] == result.test["found"]


@pytest.mark.parametrize("config", ["resnet"], indirect=True)
def test_a_tower_without_layers_is_refused_with_the_reason(
    config: RunConfig, tmp_path: Path
) -> None:
    content = config.model_dump(mode="json")
    content["space"]["towers"]["image"] = content["space"]["towers"]["text"]
    with pytest.raises(SpaceError, match=r"image/1, .* since its image tower is a ModifiedResNet"):
        runs.run(RunConfig.model_validate(content), tmp_path / "run", quiet=True)


@pytest.mark.parametrize("config", ["images alone"], indirect=True)
def test_without_captions_there_are_no_other_classes(config: RunConfig, tmp_path: Path) -> None:
    runs.run(config, tmp_path / "run", baselines=False, quiet=True)
    task = replace(load_task(config.task), class_names=("one", "two", "three"))
    words = r"learned features of 'dark square', .* train again"
    told = pytest.warns(DplWarning, match="0 of them the same")
    with told, pytest.raises(CheckpointError, match=words):
        evaluate(tmp_path / "run", task, other_classes=True, quiet=True)


@pytest.mark.parametrize("config", ["gpt2"], indirect=True)
def test_images_and_texts_are_not_taken_for_each_other(
    config: RunConfig, run_config: RunConfig, tmp_path: Path
) -> None:
    images = config.model_copy(update={"task": run_config.task})
    with pytest.raises(TaskError, match=r"has images, and hf:.* reads texts: use a backbone that"):
        runs.run(images, tmp_path / "run", quiet=True)
    texts = run_config.model_copy(update={"task": config.task})
    with pytest.raises(TaskError, match=r"has texts, and .* reads images: use a backbone that"):
        runs.run(texts, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", ["gpt2"], indirect=True)
def test_words_that_begin_alike_are_refused_and_cut_texts_told(
    config: RunConfig, tmp_path: Path
) -> None:
    settings = Path(config.task).with_suffix(".yml")
    settings.write_text("class_names: {good: film good, bad: film bad}")
    with pytest.raises(TaskError, match="the words 'film bad', 'film good' begin with the same"):
        runs.run(config, tmp_path / "run", quiet=True)
    settings.write_text("template: '" + "the " * 15 + "{text} Topic: {}'")
    with pytest.warns(DplWarning, match="room for 24 tokens, so the ends of 28 of 48 texts are"):
        runs.run(config, tmp_path / "run", baselines=False, quiet=True)


@pytest.mark.parametrize(
    ("config", "changed", "words"),
    [
        ("images alone", {"method": {"name": "vpt"}}, "VPT.* has captions for classes, which timm"),
        ("images alone", {"weight": 1.0}, "train.distillation.weight is that of zero-shot CLIP"),
        (
            "gpt2",
            {"augmentation": "crop"},
            "train.augmentation=crop is of images, and .* has texts",
        ),
    ],
    indirect=["config"],
)
def test_what_needs_captions_or_images_is_refused_at_once(
    config: RunConfig, changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    content = config.model_dump(mode="json")
    train = content["strategy"]["train"]
    content |= {key: value for key, value in changed.items() if key == "method"}
    train["distillation"]["weight"] = changed.get("weight", 0.0)
    train["augmentation"] = changed.get("augmentation", "task")
    with pytest.raises(ConfigError, match=words):
        runs.run(RunConfig.model_validate(content), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", ["gpt2"], indirect=True)
def test_a_fit_is_of_images(config: RunConfig, tmp_path: Path) -> None:
    task = load_task(config.task)
    with pytest.raises(ConfigError, match="a fit makes classifiers of images, found texts"):
        fit_folder(config, task, FitSettings(), tmp_path / "fit", shots=4, quiet=True)
    assert not (tmp_path / "fit").exists()
