"""Forward and gradients of methods in the towers, against open_clip's modules run as published."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.errors import ConfigError, DplWarning
from dpl_nas.methods import make_method
from dpl_nas.methods.regulated import SelfRegulation
from dpl_nas.methods.towers import TowerMethod
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.tasks import Task, load_task
from tests.prompted.conftest import tiny_clip

Tensors = Mapping[str, Tensor]
TOKENIZE = open_clip.SimpleTokenizer(context_length=20)
IMAGES = 3


def clip_of(backbone: Backbone) -> Any:
    return backbone.model


def by_layer(tensors: Tensors, prefix: str) -> dict[int, Tensor]:
    return {
        int(name.removeprefix(prefix).split(".")[0]): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def plain_image(clip: Any, pixels: Tensor, tokens: Mapping[int, Tensor]) -> Tensor:
    """As in the released code of VPT for CLIP: tokens are last, and replaced layer by layer."""
    visual = clip.visual
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
    x = x + visual.positional_embedding
    own = x.shape[1]
    if 0 in tokens:
        x = torch.cat([x, tokens[0].expand(len(x), -1, -1)], dim=1)
    x = visual.ln_pre(x)
    for layer, block in enumerate(visual.transformer.resblocks):
        if layer and layer in tokens:
            x = torch.cat([x[:, :own], tokens[layer].expand(len(x), -1, -1)], dim=1)
        x = block(x)
    pooled: Tensor = visual.ln_post(x[:, 0]) @ visual.proj
    return pooled


def causal(tokens: int, like: Tensor) -> Tensor:
    return torch.full((tokens, tokens), -torch.inf, dtype=like.dtype).triu(1)


def plain_text(clip: Any, captions: list[str], tokens: Mapping[int, Tensor]) -> Tensor:
    """As in the released code of CoOp and MaPLe; ``X`` stands where a learned token will."""
    ids = TOKENIZE(captions)
    x = clip.token_embedding(ids)
    held = len(tokens[0]) if 0 in tokens else 0
    if held:
        x = torch.cat([x[:, :1], tokens[0].expand(len(x), -1, -1), x[:, 1 + held :]], dim=1)
    x = x + clip.positional_embedding
    ends = ids.argmax(dim=1)
    for layer, block in enumerate(clip.transformer.resblocks):
        if layer and layer in tokens:
            new = tokens[layer].expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], new, x[:, 1 + held :]], dim=1)
            ends = ends + len(tokens[layer]) - held
            held = len(tokens[layer])
        x = block(x, attn_mask=causal(x.shape[1], x))
    projected: Tensor = clip.ln_final(x)[torch.arange(len(x)), ends] @ clip.text_projection
    return projected


def logits_of(clip: Any, image: Tensor, text: Tensor) -> Tensor:
    image, text = functional.normalize(image, dim=-1), functional.normalize(text, dim=-1)
    return clip.logit_scale.exp() * image @ text.T  # type: ignore[no-any-return]


def worded(task: Task, length: int) -> list[str]:
    if not length:
        return task.captions()
    return [" ".join(["X"] * length) + f" {name}." for name in task.class_names]


def token_logits(clip: Any, task: Task, pixels: Tensor, tensors: Tensors) -> Tensor:
    image, text = by_layer(tensors, "tokens.image."), by_layer(tensors, "tokens.text.")
    captions = worded(task, len(text[0]) if 0 in text else 0)
    return logits_of(clip, plain_image(clip, pixels, image), plain_text(clip, captions, text))


def coupled_logits(clip: Any, task: Task, pixels: Tensor, tensors: Tensors) -> Tensor:
    text = by_layer(tensors, "tokens.text.")
    image = {
        layer: functional.linear(
            each, tensors[f"maps.{layer}.weight"], tensors[f"maps.{layer}.bias"]
        )
        for layer, each in text.items()
    }
    captions = worded(task, len(text[0]))
    return logits_of(clip, plain_image(clip, pixels, image), plain_text(clip, captions, text))


def conditional_logits(clip: Any, task: Task, pixels: Tensor, tensors: Tensors) -> Tensor:
    tokens = tensors["tokens.text.0"]
    rows = []
    for image in plain_image(clip, pixels, {}):
        hidden = functional.linear(
            image / image.norm(), tensors["net.0.weight"], tensors["net.0.bias"]
        )
        shift = functional.linear(hidden.relu(), tensors["net.2.weight"], tensors["net.2.bias"])
        text = plain_text(clip, worded(task, len(tokens)), {0: tokens + shift})
        rows.append(logits_of(clip, image[None], text)[0])
    return torch.stack(rows)


def low_rank_logits(clip: Any, task: Task, pixels: Tensor, tensors: Tensors) -> Tensor:
    """Updates merged into the weights."""
    changed = {}
    for tower, prefix in (("image", "visual.transformer"), ("text", "transformer")):
        downs = by_layer(
            {k: v for k, v in tensors.items() if k.endswith("down")}, f"updates.{tower}."
        )
        for layer, down in downs.items():
            up = tensors[f"updates.{tower}.{layer}.up"]
            name = f"{prefix}.resblocks.{layer}.attn.in_proj_weight"
            update = torch.cat([high @ low for high, low in zip(up, down, strict=True)])
            changed[name] = clip.get_parameter(name) + update / math.sqrt(down.shape[1])
    image, text, _ = functional_call(
        clip, changed, (pixels, TOKENIZE(task.captions())), strict=False
    )
    return logits_of(clip, image, text)


def context_features(
    blocks: Any, x: Tensor, contexts: Mapping[int, Tensor], mask: Tensor | None
) -> Tensor:
    for layer, block in enumerate(blocks):
        if layer not in contexts:
            x = block(x, attn_mask=mask)
            continue
        vectors = contexts[layer].expand(len(x), -1, -1)
        keys = block.ln_1(torch.cat([x, vectors], dim=1))
        seen = None if mask is None else functional.pad(mask, (0, vectors.shape[1]))
        queries = keys[:, : x.shape[1]]
        attended = block.attn(queries, keys, keys, need_weights=False, attn_mask=seen)[0]
        x = x + attended
        x = x + block.mlp(block.ln_2(x))
    return x


def context_logits(clip: Any, task: Task, pixels: Tensor, tensors: Tensors) -> Tensor:
    text = by_layer({k: v for k, v in tensors.items() if "vectors" in k}, "contexts.text.")
    image = by_layer({k: v for k, v in tensors.items() if "vectors" in k}, "contexts.image.")
    weights = by_layer({k: v for k, v in tensors.items() if "weight" in k}, "contexts.image.")
    for layer, weight in weights.items():
        bias = tensors[f"contexts.image.{layer}.linear.bias"]
        image[layer] = functional.linear(text[layer], weight, bias)
    visual = clip.visual
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
    x = visual.ln_pre(x + visual.positional_embedding)
    x = context_features(visual.transformer.resblocks, x, image, None)
    pooled = visual.ln_post(x[:, 0]) @ visual.proj
    ids = TOKENIZE(task.captions())
    words = clip.token_embedding(ids) + clip.positional_embedding
    mask = causal(words.shape[1], words)
    words = context_features(clip.transformer.resblocks, words, text, mask)
    ends = clip.ln_final(words)[torch.arange(len(ids)), ids.argmax(dim=1)]
    return logits_of(clip, pooled, ends @ clip.text_projection)


Definition = Callable[[Any, Task, Tensor, Tensors], Tensor]
#: Method, settings, definition.
CASES: list[tuple[str, dict[str, Any], Definition]] = [
    ("coop", {"length": 5}, token_logits),
    ("coop", {"lengths": {"text": (0, 3)}}, token_logits),
    ("cocoop", {}, conditional_logits),
    ("vpt", {}, token_logits),
    ("vpt", {"lengths": {"image": (2, 0, 3)}}, token_logits),
    ("vpt", {"lengths": {"image": (0, 2, 0)}}, token_logits),
    ("vpt-shallow", {}, token_logits),
    ("ivlp", {"depth": 2}, token_logits),
    ("ivlp", {"lengths": {"image": (1, 3, 2), "text": (4, 2)}}, token_logits),
    ("ivlp", {"lengths": {"image": (1, 0, 0), "text": (2, 4)}}, token_logits),
    ("maple", {}, coupled_logits),
    ("maple", {"lengths": {"text": (3, 1)}}, coupled_logits),
    ("promptsrc", {}, token_logits),
    ("clip-lora", {"dropout": 0.0}, low_rank_logits),
    (
        "clip-lora",
        {"dropout": 0.0, "lengths": {"image": (0, 3, 1), "text": (2,)}},
        low_rank_logits,
    ),
    ("dpl", {"template": "task"}, context_logits),
    ("dpl", {"template": "task", "lengths": {"image": (0, 2, 1), "text": (3, 0)}}, context_logits),
    ("dpl+promptsrc", {"template": "task"}, context_logits),
    ("dpl+maple", {"template": "task"}, context_logits),
]


@pytest.fixture(scope="module")
def task(image_folder: Path) -> Task:
    return load_task(image_folder)


@cache
def backbone_of(dtype: torch.dtype) -> Backbone:
    clip: Any = tiny_clip().to(dtype)
    return Backbone.from_model(clip, name="tiny", tokenize=TOKENIZE)


def tower_method(name: str, **settings: Any) -> TowerMethod:
    method = make_method(name, **settings)
    assert isinstance(method, TowerMethod)
    return method


def spread(model: AdaptedCLIP, dtype: torch.dtype) -> AdaptedCLIP:
    """Draw parameters that are neither small nor zero."""
    generator = torch.Generator().manual_seed(5)
    model.to(dtype)
    with torch.no_grad():
        for each in model.parameters():
            each.copy_(torch.empty(each.shape, dtype=dtype).normal_(0, 0.5, generator=generator))
        for name, each in model.named_parameters():
            if name == "net.0.bias":
                # A hidden unit that is off has no gradient.
                each.fill_(2.0)
    return model


@pytest.mark.parametrize("path", ["fast", "reference"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("name", "settings", "definition"), CASES)
def test_forward_and_gradients_are_those_of_the_published_form(
    name: str,
    settings: dict[str, Any],
    definition: Definition,
    dtype: torch.dtype,
    path: str,
    task: Task,
) -> None:
    backbone = backbone_of(dtype)
    method = tower_method(name, **settings)
    model = spread(method.model(backbone, 3), dtype)
    model.path = path  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(1)
    pixels = torch.empty(IMAGES, 3, 24, 24, dtype=dtype).normal_(generator=generator)
    pull = torch.empty(IMAGES, 3, dtype=dtype).normal_(generator=generator)

    logits = model(pixels, method.captions(backbone, task))
    (logits * pull).sum().backward()

    leaves = {
        key: value.detach().clone().requires_grad_() for key, value in model.named_parameters()
    }
    expected = definition(clip_of(backbone), task, pixels, leaves)
    (expected * pull).sum().backward()
    near = {"atol": 1e-10 if dtype == torch.float64 else 2e-5, "rtol": 0.0}
    if dtype == torch.float32:
        near["rtol"] = 2e-5
    torch.testing.assert_close(logits, expected, **near)
    for key, value in model.named_parameters():
        assert value.grad is not None, key
        assert value.grad.abs().sum() > 0, key
        largest = float(leaves[key].grad.abs().max())  # type: ignore[union-attr]
        torch.testing.assert_close(
            value.grad / largest,
            leaves[key].grad / largest,
            **near,
        )
    for parameter in backbone.model.parameters():
        assert parameter.grad is None


def test_the_regularisers_are_those_of_promptsrc(task: Task) -> None:
    backbone = backbone_of(torch.float64)
    clip = clip_of(backbone)
    method = tower_method("promptsrc", regulation={"image": 3.0, "text": 5.0, "logits": 0.5})
    model = spread(method.model(backbone, 3), torch.float64)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.empty(IMAGES, 3, 24, 24, dtype=torch.float64).normal_(generator=generator)
    labels = torch.tensor([0, 2, 1])
    loss = method.loss(method.published(4, 12), task, backbone, labels)
    assert loss.teacher is not None
    found = loss(
        model.outputs(pixels, method.captions(backbone, task)),
        labels,
        loss.teacher.opinions(pixels),
    )

    leaves = dict(model.named_parameters())
    image = functional.normalize(
        plain_image(clip, pixels, by_layer(leaves, "tokens.image.")), dim=-1
    )
    text = functional.normalize(
        plain_text(clip, worded(task, 4), by_layer(leaves, "tokens.text.")), dim=-1
    )
    frozen = functional.normalize(plain_image(clip, pixels, {}), dim=-1)
    templates = task.templates or (task.template,)
    each = [
        functional.normalize(plain_text(clip, task.captions(template), {}), dim=-1)
        for template in templates
    ]
    words = functional.normalize(torch.stack(each).mean(dim=0), dim=-1)
    scale = clip.logit_scale.exp()
    logits, taught = scale * image @ text.T, scale * frozen @ words.T
    p, q = logits.log_softmax(dim=1), taught.log_softmax(dim=1)
    expected = (
        functional.cross_entropy(logits, labels)
        + 3.0 * (image - frozen).abs().mean()
        + 5.0 * (text - words).abs().mean()
        + 0.5 * (q.exp() * (q - p)).mean()
    )
    # The frozen features are kept in float32.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_the_mean_over_epochs_has_a_gaussians_weights() -> None:
    weights = SelfRegulation(centre=15.0, deviation=5.0).epoch_weights(50)
    assert sum(weights) == pytest.approx(1)
    assert max(range(50), key=weights.__getitem__) == 14
    assert weights[9] / weights[14] == pytest.approx(math.exp(-0.5))
    # As many deviations away with fewer epochs.
    fewer = SelfRegulation(centre=15.0, deviation=5.0).epoch_weights(10)
    assert max(range(10), key=fewer.__getitem__) == 2


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("coop", 16 * 512),
        ("cocoop", 35_360),
        ("vpt", 4 * 12 * 768),
        ("vpt-shallow", 4 * 768),
        ("ivlp", 9 * 4 * (512 + 768)),
        ("maple", 3_555_072),
        ("promptsrc", 46_080),
        ("clip-lora", 184_320),
        ("dpl", 4 * 12 * (512 + 768)),
    ],
)
def test_parameters_on_vit_b16_are_those_published(name: str, published: int) -> None:
    backbone = wide_backbone()
    model = tower_method(name).model(backbone, 1)
    assert sum(each.numel() for each in model.parameters()) == published


@cache
def wide_backbone() -> Backbone:
    """The widths and layers of ViT-B/16; what does not matter is small."""
    vision = {"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 0.01}
    text = {"layers": 12, "width": 512, "heads": 8, "context_length": 77, "mlp_ratio": 0.01}
    clip: Any = open_clip.CLIP(
        embed_dim=512,
        vision_cfg={"patch_size": 16, "image_size": 32, **vision},
        text_cfg={"vocab_size": 49408, **text},
    )
    tokenize = open_clip.SimpleTokenizer(context_length=77)
    return Backbone.from_model(clip, name="wide", tokenize=tokenize)


def test_tokens_start_as_words_as_far_as_they_go() -> None:
    backbone = backbone_of(torch.float32)
    words = backbone.tokenize(["a photo of a"])[0, 1:5]
    table = backbone.text.token_table
    for length in (2, 4, 6):
        first = tower_method("ivlp", length=length).model(backbone, 1).state_dict()["tokens.text.0"]
        known = min(length, 4)
        assert torch.equal(first[:known], table[words[:known]])
        assert bool((first[4:] != 0).all())


def test_names_without_room_are_told(task: Task) -> None:
    backbone = backbone_of(torch.float32)
    method = tower_method("coop", length=16)
    with pytest.warns(DplWarning, match="no room for 16 tokens before the whole names"):
        text = method.captions(backbone, task)
    # The end of the text is still read.
    assert text.pooling.argmax(dim=1).tolist() == [19] * 3
    with pytest.raises(ConfigError, match="has room for 17 learned tokens before a class name"):
        tower_method("coop", length=18).model(backbone, 1)


def test_layers_that_are_not_there_are_refused() -> None:
    backbone = backbone_of(torch.float32)
    for name in ("ivlp", "clip-lora", "dpl"):
        with pytest.raises(ConfigError, match="text/2, but the text tower of tiny has 2 layers"):
            tower_method(name, lengths={"text": (1, 1, 1)}).model(backbone, 1)
    with pytest.raises(ConfigError, match="coupled towers have the same lengths"):
        tower_method("dpl+maple", lengths={"text": (1,), "image": (2,)}).model(backbone, 1)
