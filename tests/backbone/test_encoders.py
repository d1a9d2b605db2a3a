"""Towers of every family: as their libraries run them, and with contexts as defined.

The definition is written with the libraries' own forward passes: keys and values of the contexts
are put into torch's attention, while the block that calls it runs.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import open_clip
import pytest
import timm
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.timm_model import TimmModel
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.errors import BackboneError
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, StackedCLIP
from dpl_nas.space import Precision, Tower

VISION = {"width": 32, "layers": 3, "head_width": 8, "patch_size": 8, "image_size": 24}
TEXT = {"width": 16, "layers": 2, "heads": 2, "context_length": 12, "vocab_size": 100}
#: The embedding size that all share.
EMBED = 12
#: timm's models by what is special about them, and the settings that make them small.
TRUNKS: dict[str, dict[str, Any]] = {
    # Attentional pooling; SigLIP and SigLIP 2.
    "vit_base_patch16_siglip_224": {"patch_size": 8},
    # The same with another GELU.
    "vit_so400m_patch14_siglip_224": {"patch_size": 8},
    # EVA: no bias of keys; rotary positions and norms inside attention and MLP; norms after.
    "eva_giant_patch14_224": {"patch_size": 8},
    "eva02_base_patch16_clip_224": {"patch_size": 8},
    "eva02_enormous_patch14_clip_224": {"patch_size": 8},
    # Rotary positions, attentional pooling, with and without a class token.
    "vit_pe_core_base_patch16_224": {"patch_size": 8},
    "vit_pe_core_tiny_patch16_384": {"patch_size": 8},
    # Rotary positions that differ by layer.
    "vit_small_patch16_rope_mixed_224": {"patch_size": 8},
    # Register tokens, and rotary positions of DINOv3.
    "vit_small_patch14_reg4_dinov2": {"patch_size": 8},
    "vit_small_patch16_dinov3": {"patch_size": 8},
    # Two tokens are read.
    "deit_tiny_distilled_patch16_224": {"patch_size": 8},
    # A mean over patches; norms of queries and keys.
    "vit_medium_patch16_gap_256": {"patch_size": 8, "qk_norm": True},
    # Convolutions before attention, whose widths are their own.
    "vit_base_mci_224": {"embed_dim": 768, "num_heads": 12, "depth": 2},
    # Convolutions, also in the blocks' MLPs, around attention.
    "fastvit_mci0": {"layers": (1, 1, 1, 2), "embed_dims": (16, 32, 32, 64)},
    "vitamin_small_224": {"embed_dim": 384, "num_heads": 6, "depth": 2, "img_size": 64},
}
#: Text towers of open_clip.
TEXTS: dict[str, dict[str, Any]] = {
    "causal": {},
    "end of text by its number": {"pool_type": "eos", "eos_id": 2},
    "not causal": {"no_causal_mask": True},
    "last": {"no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    "coca": {"embed_cls": True, "output_tokens": True},
}
#: Text towers of Hugging Face's: kind, settings, pooler.
ENCODERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "xlm-roberta, mean": ("xlm-roberta", {}, "mean_pooler"),
    "bert, first token": ("bert", {}, "cls_pooler"),
    "mt5": (
        "mt5",
        {"d_model": 16, "d_kv": 6, "d_ff": 32, "num_layers": 2, "num_heads": 2},
        "mean_pooler",
    ),
    "nllb": (
        "m2m_100",
        {
            "d_model": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 8,
        },
        "cls_pooler",
    ),
}
#: What their configurations do not reach.
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "padding is not seen": ("not causal", "use_pad_mask"),
    "coca with its mask at the right end": ("coca", "correct_cls_mask"),
}
IMAGES: dict[str, dict[str, Any]] = {
    "class token": {},
    "mean": {"pool_type": "avg", "final_ln_after_pool": True},
    "attentional pooler": {"attentional_pool": True, "attn_pooler_heads": 2},
}


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """A model of random weights, none of which has its initial value."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build().double().eval()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    return model


def settings_of(name: str) -> dict[str, Any]:
    """Settings that make a model of timm small."""
    settings: dict[str, Any] = {"embed_dim": 64, "depth": 3, "num_heads": 4, "img_size": 32}
    settings |= TRUNKS[name]
    if "layers" in settings:
        settings = {key: settings[key] for key in ("layers", "embed_dims")}
    return settings


def trunk(name: str) -> Callable[[], nn.Module]:
    """A CLIP with a small image tower of timm."""

    def build() -> nn.Module:
        settings = settings_of(name)
        model: nn.Module = open_clip.CustomTextCLIP(
            embed_dim=EMBED, vision_cfg=VISION, text_cfg=TEXT
        )
        size = settings.get("img_size", 128)
        visual = TimmModel("test_vit", EMBED, image_size=size, pool="")
        visual.trunk = timm.create_model(name, num_classes=0, **settings)
        visual.head = nn.Linear(visual.trunk.num_features, EMBED, bias=False)
        model.visual = visual
        return model

    return build


def towers(
    kind: Any = open_clip.CustomTextCLIP,
    vision: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    **more: Any,
) -> Callable[[], nn.Module]:
    """A model of open_clip's own towers."""

    def build() -> nn.Module:
        own = VISION | (vision or {}), TEXT | (text or {})
        model: nn.Module = kind(embed_dim=EMBED, vision_cfg=own[0], text_cfg=own[1], **more)
        return model

    return build


def of_text(text: dict[str, Any], attribute: str | None = None) -> Callable[[], nn.Module]:
    """A model by its text tower, an attribute of which is on."""
    decoder = {"context_length": 12, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1}
    plain = towers(text=text)
    pooled = IMAGES["attentional pooler"] | {"output_tokens": True}
    coca = towers(open_clip.CoCa, pooled, text, multimodal_cfg=decoder)

    def build() -> nn.Module:
        model: Any = coca() if "embed_cls" in text else plain()
        if attribute is not None:
            setattr(model.text, attribute, True)
        return model

    return build


def hugging_face(kind: str, settings: dict[str, Any], pooler: str) -> Callable[[], nn.Module]:
    """A CLIP whose text tower is an encoder of transformers."""
    from transformers import AutoConfig

    common = {
        "vocab_size": 100,
        "max_position_embeddings": 20,
        "pad_token_id": 0,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }

    def build() -> nn.Module:
        if "d_model" in settings:
            own = {key: common[key] for key in ("vocab_size", "pad_token_id")} | settings
        else:
            own = common | settings
        config = AutoConfig.for_model(kind, **own)
        text = HFTextEncoder("", EMBED, config, pooler_type=pooler, proj_type="mlp")
        if config.is_encoder_decoder:
            text.transformer = text.transformer.encoder
        model: nn.Module = open_clip.CustomTextCLIP(
            embed_dim=EMBED, vision_cfg=VISION, text_cfg=TEXT
        )
        model.text = text
        return model

    return build


def families() -> Iterator[tuple[str, Tower, Callable[[], nn.Module]]]:
    """Name, the tower that is special, and the model."""
    for name in TRUNKS:
        yield name, "image", trunk(name)
    for name, vision in IMAGES.items():
        yield name, "image", towers(vision=vision)
    for name, text in TEXTS.items():
        yield name, "text", of_text(text)
    for name, encoder in ENCODERS.items():
        yield name, "text", hugging_face(*encoder)
    for name, (base, attribute) in ATTRIBUTES.items():
        yield name, "text", of_text(TEXTS[base], attribute)
    yield (
        "a ResNet beside it",
        "text",
        towers(
            open_clip.CLIP,
            {"layers": (1, 1, 1, 1), "width": 8, "image_size": 32, "patch_size": None},
        ),
    )


CASES = {name: (tower, build) for name, tower, build in families()}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Tower, Any, Backbone]:
    tower, build = CASES[request.param]
    model = seeded(build)
    return tower, model, Backbone.from_model(model)


def pictures(backbone: Backbone) -> Tensor:
    size = backbone.image_size
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(3)).double()


def captions() -> Tensor:
    """Captions of unequal length; 1 begins, 2 ends the text for one tower, 99 for the others."""
    tokens = torch.randint(3, 98, (4, 12), generator=torch.Generator().manual_seed(4))
    tokens[:, 0] = 1
    for row, end in enumerate((4, 7, 7, 11)):
        tokens[row, end - 1], tokens[row, end] = 2, 99
        tokens[row, end + 1 :] = 0
    return tokens


def features(model: Any, tower: Tower, backbone: Backbone) -> Tensor:
    """Features as the model has them, not normalised."""
    inputs = pictures(backbone) if tower == "image" else captions()
    if isinstance(model, open_clip.CoCa):
        encode = model._encode_image if tower == "image" else model._encode_text
        found: Tensor = encode(inputs, normalize=False)[0]
    else:
        found = model.encode_image(inputs) if tower == "image" else model.encode_text(inputs)
    return found


def own_features(model: PromptedCLIP, tower: Tower, text: Any) -> Tensor:
    backbone = model.backbone
    return model.encode_image(pictures(backbone)) if tower == "image" else model.encode_text(text)


def blocks_of(model: Any, tower: Tower) -> list[Any]:
    if tower == "text":
        transformer = getattr(model, "text", model).transformer
        for place in ("resblocks", "layers", "block"):
            if hasattr(transformer, place):
                return list(getattr(transformer, place))
        return list(transformer.encoder.layer)
    visual = model.visual
    if not isinstance(visual, TimmModel):
        return list(visual.transformer.resblocks)
    trunk: Any = visual.trunk
    return list(trunk.stages[-1].blocks if hasattr(trunk, "stages") else trunk.blocks)


def context_keys(block: Any, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (heads, vectors, head_dim) of contexts, by the block's own weights."""
    if hasattr(block, "token_mixer"):
        return _fastvit_keys(block, vectors)
    if not hasattr(block, "attn"):
        return _hugging_face_keys(block, vectors)
    if hasattr(block, "ln_1"):
        attention, normed = block.attn, block.ln_1(vectors)
        heads = attention.num_heads
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        _, keys, values = functional.linear(normed, weight, bias).chunk(3, dim=-1)
        norm: Any = nn.Identity()
    else:
        attention = block.attn
        heads = attention.num_heads
        # Where the norms come after the branches, nothing precedes attention.
        normed = vectors if "PostNorm" in type(block).__name__ else block.norm1(vectors)
        if attention.qkv is None:
            keys, values = attention.k_proj(normed), attention.v_proj(normed)
        else:
            _, keys, values = attention.qkv(normed).chunk(3, dim=-1)
            if getattr(attention, "q_bias", None) is not None:
                values = values + attention.v_bias
        norm = attention.k_norm
    split = [each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in (keys, values)]
    return norm(split[0]), split[1]


def _fastvit_keys(block: Any, vectors: Tensor) -> tuple[Tensor, Tensor]:
    own = block.token_mixer
    normed = block.norm(vectors[:, :, None, None])[:, :, 0, 0]
    _, keys, values = own.qkv(normed).unflatten(-1, (3, own.num_heads, -1)).unbind(1)
    return keys.transpose(0, 1), values.transpose(0, 1)


def _hugging_face_keys(block: Any, vectors: Tensor) -> tuple[Tensor, Tensor]:
    if hasattr(block, "attention"):
        # The norms come after: nothing precedes attention.
        own = block.attention.self
        heads, pair = own.num_attention_heads, (own.key(vectors), own.value(vectors))
    elif hasattr(block, "layer"):
        own, normed = block.layer[0].SelfAttention, block.layer[0].layer_norm(vectors)
        heads, pair = own.n_heads, (own.k(normed), own.v(normed))
    else:
        own, normed = block.self_attn, block.self_attn_layer_norm(vectors)
        heads, pair = own.num_heads, (own.k_proj(normed), own.v_proj(normed))
    keys, values = (each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in pair)
    return keys, values


@contextmanager
def injected(
    blocks: list[Any], contexts: dict[int, Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Put contexts into the attention of these blocks while they run."""
    running: list[int] = []
    handles = []
    for layer, block in enumerate(blocks):
        handles.append(
            block.register_forward_pre_hook(lambda *_, layer=layer: running.append(layer))
        )
        handles.append(block.register_forward_hook(lambda *_: running.clear()))
    plain = functional.scaled_dot_product_attention

    def attend(
        q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, *args: Any, **more: Any
    ) -> Any:
        if running and running[-1] in contexts:
            keys, values = context_keys(blocks[running[-1]], contexts[running[-1]])
            k = torch.cat([k, keys.expand(len(k), -1, -1, -1)], dim=2)
            v = torch.cat([v, values.expand(len(v), -1, -1, -1)], dim=2)
            if attn_mask is not None:
                attn_mask = functional.pad(
                    attn_mask, (0, keys.shape[1]), value=attn_mask.dtype == torch.bool
                )
        return plain(q, k, v, attn_mask, *args, **more)

    fused = torch.backends.mha.get_fastpath_enabled()
    with monkeypatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", attend)
        # torch's fused attention, which it takes where nothing needs a gradient, asks for nothing.
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    torch.backends.mha.set_fastpath_enabled(fused)
    for handle in handles:
        handle.remove()


def test_without_contexts_it_is_the_model(case: tuple[Tower, Any, Backbone]) -> None:
    tower, model, backbone = case
    text = backbone.text_inputs_of(captions())
    paths: tuple[KernelPath, ...] = ("fast", "portable", "reference")
    for path in paths:
        plain = PromptedCLIP(backbone, {}, path)
        for each in ("image", "text"):
            expected = features(model, each, backbone)
            found = own_features(plain, each, text)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert backbone.layers[tower] > 1


def test_sigmoid_models_keep_their_bias() -> None:
    model: Any = seeded(towers(text=TEXTS["last"], init_logit_bias=-3.0))
    backbone = Backbone.from_model(model)
    images, words, scale, bias = model(pictures(backbone), captions())
    found = PromptedCLIP(backbone, {})(pictures(backbone), backbone.text_inputs_of(captions()))
    torch.testing.assert_close(found, scale * images @ words.T + bias, rtol=1e-10, atol=1e-10)
    assert float(bias) < -2


def drawn_contexts(backbone: Backbone, tower: Tower) -> dict[int, Context]:
    """Contexts in float64 at layers of a tower, one of which has none if there are three."""
    depth = backbone.layers[tower]
    lengths = {layer: length for layer, length in enumerate((2, 0, 3)[-depth:]) if length}
    draw = torch.Generator().manual_seed(5)
    contexts = {}
    for layer, length in lengths.items():
        contexts[layer] = Context(length, backbone.widths[tower]).double()
        vectors = contexts[layer].vectors
        vectors.data = torch.randn(vectors.shape, generator=draw).double()
    return contexts


#: What gradients are of: a sum of the features with these weights.
WEIGHTS = torch.randn(EMBED, generator=torch.Generator().manual_seed(6)).double()


def gradients(features: Tensor, contexts: dict[int, Context]) -> tuple[Tensor, ...]:
    vectors = [each.vectors for each in contexts.values()]
    return torch.autograd.grad((features.double() @ WEIGHTS).sum(), vectors)


@pytest.mark.parametrize("path", ["fast", "portable", "reference"])
def test_contexts_are_as_defined(
    case: tuple[Tower, Any, Backbone], path: KernelPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, model, backbone = case
    contexts = drawn_contexts(backbone, tower)
    vectors = {layer: context.vectors for layer, context in contexts.items()}
    with injected(blocks_of(model, tower), vectors, monkeypatch):
        expected = features(model, tower, backbone)
    wanted = gradients(expected, contexts)
    prompted = PromptedCLIP(backbone, {tower: contexts}, path)
    found = own_features(prompted, tower, backbone.text_inputs_of(captions()))
    # T5's norms compute in float32, whatever they are given.
    near = 1e-6 if hasattr(blocks_of(model, tower)[0], "layer") else 1e-10
    torch.testing.assert_close(found, expected, rtol=near, atol=near)
    for one, other in zip(gradients(found, contexts), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=near, atol=near)
        assert float(other.abs().max()) > 1e-6


def drawn_candidates(backbone: Backbone) -> dict[Tower, dict[int, nn.Module]]:
    """Candidates of 0, 1 and 3 vectors at every layer, with weights that are not equal."""
    draw = torch.Generator().manual_seed(8)
    found: dict[Tower, dict[int, nn.Module]] = {}
    for tower, width in backbone.widths.items():
        found[tower] = {
            layer: ContextCandidates.separate((0, 1, 3), width).double()
            for layer in range(backbone.layers[tower])
        }
        for module in found[tower].values():
            for parameter in module.parameters():
                parameter.data = torch.randn(parameter.shape, generator=draw).double()
    return found


def test_a_mixture_is_the_sum_over_its_candidates(case: tuple[Tower, Any, Backbone]) -> None:
    """Also where a norm stands between attention and its output projection, as in EVA-02."""
    _, _, backbone = case
    candidates = drawn_candidates(backbone)
    text, near = backbone.text_inputs_of(captions()), 1e-10
    if any(type(each).__name__ == "MT5LayerNorm" for each in backbone.model.modules()):
        # They compute in float32.
        near = 1e-6
    found = {}
    for path in ("reference", "portable", "fast"):
        model = PromptedCLIP(backbone, candidates, path)
        logits = model(pictures(backbone), text)
        learned = [each for each in model.parameters() if each.requires_grad]
        found[path] = [logits, *torch.autograd.grad(logits.square().mean(), learned)]
    for path in ("portable", "fast"):
        for one, other in zip(found[path], found["reference"], strict=True):
            torch.testing.assert_close(one, other, rtol=near, atol=near)


def test_a_stack_gives_what_each_gives_alone(case: tuple[Tower, Any, Backbone]) -> None:
    _, _, backbone = case
    text, draw = backbone.text_inputs_of(captions()), torch.Generator().manual_seed(9)
    models = []
    for lengths in ({0: 2}, {1: 1}, {0: 1, 1: 3}):
        contexts: dict[Tower, dict[int, Context]] = {}
        for tower, width in backbone.widths.items():
            layers = range(backbone.layers[tower])
            own = {at: Context(length, width) for at, length in lengths.items() if at in layers}
            for context in own.values():
                context.vectors.data = torch.randn(context.length, width, generator=draw).double()
            contexts[tower] = own
        models.append(PromptedCLIP(backbone, contexts))
    found = StackedCLIP(models).each_outputs(pictures(backbone), text)
    for one, model in zip(found, models, strict=True):
        torch.testing.assert_close(
            one.logits, model(pictures(backbone), text), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_they_are_so_in_lower_precision(
    case: tuple[Tower, Any, Backbone], precision: Precision
) -> None:
    tower, model, backbone = case
    wide = drawn_contexts(backbone, tower)
    text = backbone.text_inputs_of(captions())
    expected = own_features(PromptedCLIP(backbone, {tower: wide}), tower, text)
    narrow = Backbone.from_model(copy.deepcopy(model).float(), precision=precision)
    contexts = {layer: copy.deepcopy(each).float() for layer, each in wide.items()}
    prompted = PromptedCLIP(narrow, {tower: contexts})
    own = narrow.text_inputs_of(captions())
    images = pictures(narrow).float()
    found = prompted.encode_image(images) if tower == "image" else prompted.encode_text(own)
    near = 2e-5 if precision == "fp32" else 0.1

    def close(one: Tensor, other: Tensor) -> bool:
        one, other = one.detach().double(), other.detach()
        return float((one - other).norm() / other.norm()) < near

    assert close(found, expected)
    for one, other in zip(gradients(found, contexts), gradients(expected, wide), strict=True):
        assert close(one, other)


#: Models that are the backbone on their own, with the classifier that they end with.
ALONE = [name for name in TRUNKS if not name.startswith(("fastvit", "vitamin"))]


def image_features(model: Any, images: Tensor) -> Tensor:
    """What a model of timm gives its classifier."""
    found: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
    return found


@pytest.mark.parametrize("name", ALONE)
def test_a_model_of_images_alone_is_as_defined(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = seeded(lambda: timm.create_model(name, num_classes=5, **settings_of(name)))
    backbone = Backbone.from_model(model)
    assert (backbone.classes_by == "captions", backbone.layers) == (
        False,
        {"image": len(model.blocks), "text": 0},
    )
    images = pictures(backbone)
    plain = PromptedCLIP(backbone, {})
    expected = image_features(model, images)
    torch.testing.assert_close(plain.encode_image(images), expected, rtol=1e-10, atol=1e-10)

    contexts = drawn_contexts(backbone, "image")
    vectors = {layer: context.vectors for layer, context in contexts.items()}
    draw = torch.Generator().manual_seed(7)
    classes = torch.randn(4, expected.shape[1], generator=draw).double()
    offsets = nn.Parameter(torch.randn(classes.shape, generator=draw).double())

    def logits(features: Tensor) -> Tensor:
        unit = functional.normalize(features, dim=-1)
        return 30 * unit @ functional.normalize(classes + offsets, dim=-1).T

    learned = [*vectors.values(), offsets]
    with injected(list(model.blocks), vectors, monkeypatch):
        expected = logits(image_features(model, images))
        wanted = torch.autograd.grad(expected.square().sum(), learned)
    for path in ("fast", "portable", "reference"):
        prompted = PromptedCLIP(backbone, {"image": contexts}, path, offsets)
        found = prompted(images, backbone.class_inputs(classes))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        given = torch.autograd.grad(found.square().sum(), learned)
        for one, other in zip(given, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-9)


def test_the_image_tower_of_a_clip_is_a_model_on_its_own() -> None:
    model: Any = seeded(towers())
    both, alone = Backbone.from_model(model), Backbone.from_model(model.visual)
    images = pictures(both)
    expected = PromptedCLIP(both, {}).encode_image(images)
    assert torch.equal(PromptedCLIP(alone, {}).encode_image(images), expected)
    with pytest.raises(BackboneError, match="captions cannot stand for classes, since custom has"):
        alone.text_inputs(["a dog"])
    with pytest.raises(BackboneError, match="custom has a text tower: give captions"):
        both.class_inputs(torch.zeros(2, EMBED))
