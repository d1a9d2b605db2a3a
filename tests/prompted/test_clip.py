"""The prompted CLIP against open_clip, and against a direct transcription of its definition."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs, packing
from dpl_nas.config import InitSettings
from dpl_nas.errors import ArchitectureError
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import (
    Context,
    ContextCandidates,
    ImageStates,
    PromptedCLIP,
    initialise,
)
from dpl_nas.space import Tower

CAPTIONS = ["a photo of a dog.", "a cat", "a rather long name of a thing of a kind"]


def images(count: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, 3, 24, 24, generator=torch.Generator().manual_seed(3)).to(dtype)


def started(module: nn.Module, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    module.to(dtype)
    initialise(module, InitSettings(scale=1.0), torch.Generator().manual_seed(seed))
    return module


def defined_block(block: Any, x: Tensor, vectors: Tensor, causal: bool) -> Tensor:
    """One layer as the paper defines it, with torch's own attention and a long mask."""
    tokens, length = x.shape[1], len(vectors)
    source = block.ln_1(torch.cat([x, vectors.expand(len(x), -1, -1)], dim=1))
    mask = torch.zeros(tokens, tokens + length, dtype=x.dtype)
    if causal:
        mask[:, :tokens] = torch.full((tokens, tokens), -torch.inf).triu(1)
    attended: tuple[Tensor, None] = block.attn(
        block.ln_1(x), source, source, need_weights=False, attn_mask=mask
    )
    return attended[0]


def defined_image(
    model: Any, pictures: Tensor, layers: Mapping[int, list[tuple[float, Tensor]]]
) -> Tensor:
    x = model.visual._embeds(pictures)
    for i, block in enumerate(model.visual.transformer.resblocks):
        choice = layers.get(i, [(1.0, x.new_zeros(0, x.shape[-1]))])
        mixed = sum(w * defined_block(block, x, vectors, causal=False) for w, vectors in choice)
        h = x + block.ls_1(mixed)
        x = h + block.ls_2(block.mlp(block.ln_2(h)))
    pooled, _ = model.visual._pool(x)
    result: Tensor = pooled @ model.visual.proj
    return result


def text_parts(model: Any) -> Any:
    """What holds the text tower's parts in open_clip: the model itself or its ``text``."""
    return getattr(model, "text", model)


def defined_text(
    tower: Any, tokens: Tensor, layers: Mapping[int, list[tuple[float, Tensor]]]
) -> Tensor:
    """Over the whole context length, not cut."""
    x = tower.token_embedding(tokens) + tower.positional_embedding
    for i, block in enumerate(tower.transformer.resblocks):
        choice = layers.get(i, [(1.0, x.new_zeros(0, x.shape[-1]))])
        mixed = sum(w * defined_block(block, x, vectors, causal=True) for w, vectors in choice)
        h = x + block.ls_1(mixed)
        x = h + block.ls_2(block.mlp(block.ln_2(h)))
    pooled = tower.ln_final(x)[torch.arange(len(x)), tokens.argmax(-1)]
    projection = tower.text_projection
    result: Tensor = projection(pooled) if callable(projection) else pooled @ projection
    return result


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "quick_gelu": {"quick_gelu": True},
    "custom_text": {"custom_text": True},
    "layer_scale": {"vision": {"ls_init_value": 0.5}, "text": {"ls_init_value": 0.5}},
    "average": {"vision": {"pool_type": "avg"}},
    "average_then_norm": {"vision": {"pool_type": "avg", "final_ln_after_pool": True}},
    "token_then_norm": {"vision": {"final_ln_after_pool": True}},
    "no_pre_norm": {"vision": {"no_ln_pre": True}},
    "projection_bias": {"custom_text": True, "text": {"proj_bias": True}},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("contexts", ["none", "length 0"])
def test_without_vectors_it_is_open_clip(
    make_backbone: Callable[..., Backbone], variant: str, contexts: str
) -> None:
    backbone = make_backbone(**VARIANTS[variant])
    chosen: dict[Tower, dict[int, nn.Module]] = {}
    if contexts == "length 0":
        chosen = {
            "image": {0: Context(0, 32), 2: ContextCandidates.separate([0], 32)},
            "text": {1: Context(0, 16)},
        }
    model = PromptedCLIP(backbone, chosen)
    with torch.no_grad():
        expected = backbone.model.encode_image(images())
        torch.testing.assert_close(model.encode_image(images()), expected, rtol=1e-10, atol=1e-10)
        found = model.encode_text(backbone.text_inputs(CAPTIONS))
        expected = backbone.model.encode_text(backbone.tokenize(CAPTIONS))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", ["fast", "portable", "reference"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_contexts_are_as_defined(
    make_backbone: Callable[..., Backbone], variant: str, path: KernelPath
) -> None:
    backbone = make_backbone(**VARIANTS[variant])
    image = started(ContextCandidates.separate([0, 2, 3], 32), 1)
    image.alpha.data.normal_(generator=torch.Generator().manual_seed(4))
    fixed = started(Context(4, 32), 2)
    text = started(ContextCandidates.nested([0, 1, 5], 16), 3)
    model = PromptedCLIP(backbone, {"image": {0: image, 2: fixed}, "text": {1: text}}, path)

    mix = {
        module: list(zip(module().weights, module().candidates, strict=True))
        for module in (image, text)
    }
    expected_image = defined_image(
        backbone.model, images(), {0: mix[image], 2: [(1.0, fixed.vectors)]}
    )
    expected_text = defined_text(
        text_parts(backbone.model), backbone.tokenize(CAPTIONS), {1: mix[text]}
    )
    found_image = model.encode_image(images())
    found_text = model.encode_text(backbone.text_inputs(CAPTIONS))
    torch.testing.assert_close(found_image, expected_image, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found_text, expected_text, rtol=1e-9, atol=1e-9)
    parameters = list(model.parameters())
    for a, b in zip(
        torch.autograd.grad(found_image.sin().sum() + found_text.sin().sum(), parameters),
        torch.autograd.grad(expected_image.sin().sum() + expected_text.sin().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def both_towers(backbone: Backbone, path: KernelPath, first: int = 0) -> PromptedCLIP:
    """A supernet from layer ``first`` on, the same for every path."""
    contexts: dict[Tower, dict[int, nn.Module]] = {"image": {}, "text": {}}
    for tower in ("image", "text"):
        for layer in range(first, backbone.layers[tower]):
            width = backbone.widths[tower]
            candidates = ContextCandidates.separate([0, 1, 3], width)
            contexts[tower][layer] = started(candidates, layer)
            candidates.alpha.data.normal_(generator=torch.Generator().manual_seed(layer))
    return PromptedCLIP(backbone, contexts, path)


def outcome(model: PromptedCLIP, inputs: Tensor | ImageStates, text: TextInputs) -> list[Tensor]:
    """Logits, and the gradients of a function of them."""
    logits = model(inputs, text)
    return [logits.detach(), *torch.autograd.grad(logits.sin().sum(), list(model.parameters()))]


def assert_equal_outcomes(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


TEXTS = {
    "one template": lambda backbone: backbone.text_inputs(CAPTIONS),
    "one class": lambda backbone: backbone.text_inputs(CAPTIONS[:1]),
    "the same class twice": lambda backbone: backbone.text_inputs(CAPTIONS[:1] * 2),
    "a template each": lambda backbone: backbone.text_inputs(
        ["a dog outside.", "photo of some blue cats", "red"]
    ),
    "mean of templates": lambda backbone: backbone.mean_text_inputs(
        ["a photo of a {}.", "a {}", "one big {} there"], ["dog", "black cat", "sky lark egg"]
    ),
    "mean with a shared start": lambda backbone: backbone.mean_text_inputs(
        ["a photo of a {}.", "a photo of the {}"], ["dog", "black cat", "sky lark egg"]
    ),
}


@pytest.mark.parametrize("path", ["fast", "portable"])
@pytest.mark.parametrize("captions", TEXTS)
@pytest.mark.parametrize("way", ["packed", "dense", "chunks"])
def test_every_plan_of_the_text_is_exact(
    backbone: Backbone,
    monkeypatch: pytest.MonkeyPatch,
    path: KernelPath,
    captions: str,
    way: str,
) -> None:
    monkeypatch.setattr(packing, "_WORTHWHILE", 1 << 60 if way == "dense" else 0)
    if way == "chunks":
        monkeypatch.setattr("dpl_nas.backbone.memory._ON_CPU", 1)
    text = TEXTS[captions](backbone)
    plan = text.plan(backbone.layers["text"])
    assert (len(plan.prefix) == 0) == (way == "dense")
    assert sum(each.classes for each in plan.classes) == len(text)
    assert len(plan.classes) == (len(text) if way == "chunks" else 1)
    expected = outcome(both_towers(backbone, "reference"), images(), text)
    assert_equal_outcomes(outcome(both_towers(backbone, path), images(), text), expected)


@pytest.mark.parametrize("path", ["fast", "portable"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("packed", [False, True])
def test_states_before_the_first_context_are_constants(
    make_backbone: Callable[..., Backbone],
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
    path: KernelPath,
    packed: bool,
) -> None:
    if packed:
        monkeypatch.setattr(packing, "_WORTHWHILE", 0)
    backbone = make_backbone(**VARIANTS[variant])
    text = backbone.text_inputs(CAPTIONS)
    expected = outcome(both_towers(backbone, "reference", first=1), images(), text)
    model = both_towers(backbone, path, first=1)
    assert model.first_layer("image") == 1
    states = model.image_states(images())
    assert states.layer == 1
    assert not states.hidden.requires_grad
    assert_equal_outcomes(outcome(model, states, text), expected)
    assert_equal_outcomes(outcome(model, model.image_states(images(), 0), text), expected)
    with pytest.raises(ValueError, match="expected a layer up to 1, found 2"):
        model.image_states(images(), 2)


def test_without_contexts_the_states_are_the_last(backbone: Backbone) -> None:
    model = PromptedCLIP(backbone, {})
    states = model.image_states(images())
    assert states.layer == 3
    assert states.hidden.shape == (len(images()), 1, 32)
    torch.testing.assert_close(model.encode_image(states), model.encode_image(images()))
    torch.testing.assert_close(model.encode_image(states[1:]), model.encode_image(images()[1:]))


def test_other_captions_or_another_device_are_prepared_anew(backbone: Backbone) -> None:
    model = both_towers(backbone, "fast")
    first = model.encode_text(backbone.text_inputs(CAPTIONS))
    other = model.encode_text(backbone.text_inputs(CAPTIONS[::-1]))
    torch.testing.assert_close(first, other.flip(0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_folded_contexts_are_constants(
    make_backbone: Callable[..., Backbone], precision: str
) -> None:
    backbone = make_backbone(double=False, precision=precision)
    text, pixels = backbone.text_inputs(CAPTIONS), images(dtype=torch.float32)
    model = both_towers(backbone, "fast").float()
    expected = model(pixels, text).detach()
    assert model.fold() is model
    found = model(pixels, text)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_blocks_may_put_tokens_first(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    context = started(Context(2, 32))
    expected = PromptedCLIP(backbone, {"image": {1: context}}).encode_image(images())
    for block in backbone.model.visual.transformer.resblocks:
        block.attn.batch_first = False
    found = PromptedCLIP(backbone, {"image": {1: context}}).encode_image(images())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_logits_are_scaled_cosines(backbone: Backbone) -> None:
    model = PromptedCLIP(backbone, {})
    text = backbone.text_inputs(CAPTIONS)
    logits = model(images(), text)
    assert logits.shape == (2, 3)
    image_features, text_features = model.encode_image(images()), model.encode_text(text)
    cosines = nn.functional.cosine_similarity(image_features[:, None], text_features, dim=-1)
    scale = backbone.model.logit_scale.exp()
    torch.testing.assert_close(logits, scale * cosines, rtol=1e-9, atol=1e-9)


def test_only_contexts_are_parameters_and_state(backbone: Backbone) -> None:
    model = PromptedCLIP(
        backbone,
        {"image": {1: Context(2, 32), 0: Context(0, 32)}, "text": {1: Context(3, 16)}},
    )
    names = ["contexts.image.1.vectors", "contexts.text.1.vectors"]
    assert [name for name, _ in model.named_parameters()] == names
    assert list(model.state_dict()) == names
    assert len(list(model.buffers())) == 1


def test_the_backbone_gets_no_gradient(backbone: Backbone) -> None:
    context = started(Context(2, 32))
    model = PromptedCLIP(backbone, {"image": {1: context}})
    model.train()
    assert not backbone.model.training
    model(images(), backbone.text_inputs(CAPTIONS)).sum().backward()
    assert context.vectors.grad is not None
    assert all(p.grad is None and not p.requires_grad for p in backbone.model.parameters())


def test_nothing_is_kept_for_backward_below_the_first_context(backbone: Backbone) -> None:
    model = PromptedCLIP(backbone, {"image": {2: started(Context(2, 32))}})
    assert not model.encode_text(backbone.text_inputs(CAPTIONS)).requires_grad
    assert model.encode_image(images()).requires_grad


def test_deep_copies_share_the_backbone(backbone: Backbone) -> None:
    model = PromptedCLIP(backbone, {"image": {1: Context(2, 32)}})
    copied = copy.deepcopy(model)
    assert copied.backbone is backbone
    assert copied.contexts["image"]["1"].vectors is not model.contexts["image"]["1"].vectors  # type: ignore[index]


def test_the_backbone_follows_to_the_device(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    parent = nn.Sequential(PromptedCLIP(backbone, {"image": {1: Context(2, 32)}}))
    parent.double()
    assert backbone.device.type == "cpu"
    parent.to("meta")
    assert backbone.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    model = PromptedCLIP(
        backbone,
        {
            "image": {0: started(ContextCandidates.separate([0, 2], 32)), 1: Context(0, 32)},
            "text": {1: started(Context(2, 16))},
        },
    )
    expected = model(images(), backbone.text_inputs(CAPTIONS)).detach()
    model.to("cuda")
    found = model(images().cuda(), backbone.text_inputs(CAPTIONS))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", ["fast", "portable", "reference"])
def test_bfloat16_is_near_float32(make_backbone: Callable[..., Backbone], path: KernelPath) -> None:
    exact, low = make_backbone(double=False), make_backbone(double=False, precision="bf16")
    pixels = images(dtype=torch.float32)
    features, gradients = [], []
    for backbone in (exact, low):
        model = both_towers(backbone, path).float()
        text = backbone.text_inputs(CAPTIONS)
        logits = model(pixels, text)
        assert logits.dtype == torch.float32
        features += [model.encode_image(pixels).float(), model.encode_text(text).float()]
        logits.sin().sum().backward()
        assert all(p.grad is not None and p.grad.dtype == p.dtype for p in model.parameters())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    cosine = nn.functional.cosine_similarity
    assert cosine(features[0], features[2]).min() > 0.9995
    assert cosine(features[1], features[3]).min() > 0.9995
    assert cosine(gradients[0], gradients[1], dim=0) > 0.98


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        (
            {"image": {3: Context(1, 32)}},
            "vectors at image/3, but the image tower of tiny has 3 layers, counted from 0$",
        ),
        (
            {"text": {-1: Context(1, 16)}},
            "vectors at text/-1, but the text tower of tiny has 2 layers, counted from 0$",
        ),
        (
            {"text": {0: Context(1, 32)}},
            "text/0 of tiny needs context vectors of width 16, found 32",
        ),
        ({"audio": {}}, "expected the towers image and text, found audio"),
    ],
)
def test_misplaced_contexts_are_refused(
    backbone: Backbone, contexts: dict[Tower, dict[int, nn.Module]], message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        PromptedCLIP(backbone, contexts)


# Class captions.


def test_captions_are_cut_at_the_last_end(backbone: Backbone) -> None:
    text = backbone.text_inputs(CAPTIONS)
    tokens = backbone.tokenize(CAPTIONS)
    ends = tokens.argmax(-1)
    assert text.embeddings.shape == (3, int(ends.max()) + 1, 16)
    assert len(text) == 3
    assert text.pooling.argmax(-1).tolist() == ends.tolist()
    assert (text.pooling.sum(-1) == 1).all()
    assert not text.embeddings.requires_grad
    assert isinstance(text.to("meta"), TextInputs)


def test_every_template_pools_at_its_own_end(backbone: Backbone) -> None:
    templates, names = ["a {}", "a much longer photo of a {}.", "{}"], ["dog", "sea lion"]
    text = backbone.mean_text_inputs(templates, names)
    ends = torch.stack(
        [backbone.tokenize([t.format(name) for name in names]).argmax(-1) for t in templates], dim=1
    )
    assert len(set(ends[0].tolist())) == 3
    for row, positions in zip(text.pooling, ends, strict=True):
        expected = torch.zeros_like(row)
        expected[positions] = 1 / 3
        torch.testing.assert_close(row, expected)


def test_the_mean_of_templates_as_defined(backbone: Backbone) -> None:
    templates, names = ["a {}", "a much longer photo of a {}."], ["dog", "sea lion"]
    found = PromptedCLIP(backbone, {}).encode_text(backbone.mean_text_inputs(templates, names))
    tower = text_parts(backbone.model)
    tokens = [backbone.tokenize([t.format(name) for name in names]) for t in templates]
    x = torch.stack([tower.token_embedding(batch) for batch in tokens]).mean(0)
    x = tower.transformer(x + tower.positional_embedding, attn_mask=tower.attn_mask)
    hidden = tower.ln_final(x)
    rows = torch.arange(2)
    pooled = torch.stack([hidden[rows, batch.argmax(-1)] for batch in tokens]).mean(0)
    torch.testing.assert_close(found, pooled @ tower.text_projection, rtol=1e-9, atol=1e-9)


def test_one_template_is_a_plain_caption(backbone: Backbone) -> None:
    mean = backbone.mean_text_inputs(["a photo of a {}."], ["dog", "cat"])
    plain = backbone.text_inputs(["a photo of a dog.", "a photo of a cat."])
    assert torch.equal(mean.embeddings, plain.embeddings)
    assert torch.equal(mean.pooling, plain.pooling)
