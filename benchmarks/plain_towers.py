"""Towers as the code of papers runs them, written with open_clip's own modules.

Tests hold ours against them, and ``benchmarks.step --methods`` times both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

__all__ = [
    "PLAIN",
    "Captions",
    "Definition",
    "Tensors",
    "by_layer",
    "conditional_logits",
    "context_logits",
    "coupled_logits",
    "low_rank_logits",
    "plain_image",
    "plain_text",
    "token_logits",
]

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Captions:
    """Names of classes, and the tokens of their captions at CLIP's full length."""

    names: Sequence[str]
    template: str
    tokenize: Callable[[list[str]], Tensor]

    def whole(self) -> Tensor:
        """Tokens (classes, context_length) of the template's captions."""
        return self.tokenize([self.template.replace("{}", name) for name in self.names])

    def after(self, count: int) -> Tensor:
        """The same of captions with room for so many learned tokens; none keep the template."""
        if not count:
            return self.whole()
        return self.tokenize([" ".join(["X"] * count) + f" {name}." for name in self.names])


#: Logits of a CLIP, captions, images, and what a method has learned by name.
Definition = Callable[[Any, Captions, Tensor, Tensors], Tensor]


def by_layer(tensors: Tensors, prefix: str) -> dict[int, Tensor]:
    """Tensors by the layer that follows a prefix of their names."""
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
    """The mask of a text tower."""
    return torch.full((tokens, tokens), -torch.inf, dtype=like.dtype).triu(1)


def plain_text(clip: Any, ids: Tensor, tokens: Mapping[int, Tensor]) -> Tensor:
    """As in the released code of CoOp and MaPLe; ``X`` stands where a learned token will."""
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
    """Scaled cosine similarities."""
    image, text = functional.normalize(image, dim=-1), functional.normalize(text, dim=-1)
    return clip.logit_scale.exp() * image @ text.T  # type: ignore[no-any-return]


def token_logits(clip: Any, captions: Captions, pixels: Tensor, tensors: Tensors) -> Tensor:
    """Learned tokens of both towers."""
    image, text = by_layer(tensors, "tokens.image."), by_layer(tensors, "tokens.text.")
    ids = captions.after(len(text[0]) if 0 in text else 0)
    return logits_of(clip, plain_image(clip, pixels, image), plain_text(clip, ids, text))


def coupled_logits(clip: Any, captions: Captions, pixels: Tensor, tensors: Tensors) -> Tensor:
    """Tokens of the text tower, and linear maps of them in the image tower."""
    text = by_layer(tensors, "tokens.text.")
    image = {
        layer: functional.linear(
            each, tensors[f"maps.{layer}.weight"], tensors[f"maps.{layer}.bias"]
        )
        for layer, each in text.items()
    }
    ids = captions.after(len(text[0]))
    return logits_of(clip, plain_image(clip, pixels, image), plain_text(clip, ids, text))


def conditional_logits(clip: Any, captions: Captions, pixels: Tensor, tensors: Tensors) -> Tensor:
    """Tokens of the text tower, shifted for each image."""
    tokens = tensors["tokens.text.0"]
    rows = []
    for image in plain_image(clip, pixels, {}):
        hidden = functional.linear(
            image / image.norm(), tensors["net.0.weight"], tensors["net.0.bias"]
        )
        shift = functional.linear(hidden.relu(), tensors["net.2.weight"], tensors["net.2.bias"])
        text = plain_text(clip, captions.after(len(tokens)), {0: tokens + shift})
        rows.append(logits_of(clip, image[None], text)[0])
    return torch.stack(rows)


def low_rank_logits(clip: Any, captions: Captions, pixels: Tensor, tensors: Tensors) -> Tensor:
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
    image, text, _ = functional_call(clip, changed, (pixels, captions.whole()), strict=False)
    return logits_of(clip, image, text)


def context_features(
    blocks: Any, x: Tensor, contexts: Mapping[int, Tensor], mask: Tensor | None
) -> Tensor:
    """Blocks whose attention has context vectors among its keys and values."""
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


def context_logits(clip: Any, captions: Captions, pixels: Tensor, tensors: Tensors) -> Tensor:
    """Context vectors of both towers; those of the image tower may be maps of the others."""
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
    ids = captions.whole()
    words = clip.token_embedding(ids) + clip.positional_embedding
    mask = causal(words.shape[1], words)
    words = context_features(clip.transformer.resblocks, words, text, mask)
    ends = clip.ln_final(words)[torch.arange(len(ids)), ids.argmax(dim=1)]
    return logits_of(clip, pooled, ends @ clip.text_projection)


#: The form of each method that learns in the towers.
PLAIN: dict[str, Definition] = {
    "coop": token_logits,
    "cocoop": conditional_logits,
    "vpt": token_logits,
    "ivlp": token_logits,
    "maple": coupled_logits,
    "promptsrc": token_logits,
    "clip-lora": low_rank_logits,
    "dpl": context_logits,
    "dpl+maple": context_logits,
}
