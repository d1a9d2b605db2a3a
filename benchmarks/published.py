"""The algorithm as published (arXiv 2501.00457), computed plainly: what the speed is held against.

Every candidate length of a layer does an attention of its own, projections included, and the
results are mixed. All classes go through the text tower at its full context length. Attention
is torch's own, and as fast as torch has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.prompted import ContextCandidates
from dpl_nas.prompted.adapted import precision_of, similarities
from dpl_nas.space import Tower

__all__ = ["PublishedCLIP"]


class PublishedCLIP(nn.Module):
    """A frozen CLIP with the contexts of a :class:`~dpl_nas.prompted.PromptedCLIP`.

    Parameters
    ----------
    backbone
        Its image tower pools the class token.
    contexts
        For each tower and layer: a :class:`~dpl_nas.prompted.Context`, or candidates with
        vectors of their own. Other layers are plain.
    layers
        Run only that many layers of a tower, which makes a slice to be timed.
    """

    def __init__(
        self,
        backbone: Backbone,
        contexts: Mapping[Tower, Mapping[int, nn.Module]],
        layers: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = layers
        self.contexts = nn.ModuleDict(
            {
                tower: nn.ModuleDict({str(layer): module for layer, module in modules.items()})
                for tower, modules in contexts.items()
            }
        )

    def encode_image(self, images: Tensor) -> Tensor:
        """Features (batch, embed), before normalisation, of images (batch, 3, size, size)."""
        visual: Any = self.backbone.model.visual
        with precision_of(self.backbone):
            x = visual.conv1(images).flatten(2).transpose(1, 2)  # [b, grid^2, w]
            x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
            x = visual.ln_pre(x + visual.positional_embedding)
            x = self._run("image", visual.transformer.resblocks, x.transpose(0, 1), None)
            features: Tensor = visual.ln_post(x[0]) @ visual.proj
        return features

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Features (classes, embed), before normalisation, of tokens (classes, context_length)."""
        tower: Any = getattr(self.backbone.model, "text", self.backbone.model)
        with precision_of(self.backbone):
            x = tower.token_embedding(tokens) + tower.positional_embedding
            length = x.shape[1]
            mask = torch.full((length, length), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
            x = self._run("text", tower.transformer.resblocks, x.transpose(0, 1), mask)
            x = tower.ln_final(x)
            ends = tokens.argmax(dim=-1)
            read = x[ends, torch.arange(len(ends), device=x.device)]
            features: Tensor = read @ tower.text_projection
        return features

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits (batch, classes)."""
        return similarities(self.backbone, self.encode_image(images), self.encode_text(tokens))

    def _run(self, tower: Tower, blocks: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
        """Hidden tokens (tokens, batch, width); tokens come first, as torch's attention likes."""
        contexts = self._layers(tower)
        chosen: Any = blocks[: self.layers]
        for layer, block in enumerate(chosen):
            candidates, weights = _candidates(contexts.get(layer), x)
            x = x + _mixed_attention(block, x, candidates, weights, mask)
            x = x + block.mlp(block.ln_2(x))
        return x

    def _layers(self, tower: Tower) -> dict[int, Any]:
        if tower not in self.contexts:
            return {}
        return {int(layer): module for layer, module in self.contexts[tower].named_children()}


def _candidates(module: Any, x: Tensor) -> tuple[list[Tensor], Tensor | None]:
    """Vectors (length, width) of every candidate of a layer, and the candidates' weights."""
    if module is None:
        return [x[:0, 0]], None
    if isinstance(module, ContextCandidates):
        contexts: Any = module.candidates
        return [context.vectors for context in contexts], module.alpha.softmax(dim=0)
    return [module.vectors], None


def _mixed_attention(
    block: Any, x: Tensor, candidates: list[Tensor], weights: Tensor | None, mask: Tensor | None
) -> Tensor:
    queries = block.ln_1(x)
    found = [_attention(block, x, queries, vectors, mask) for vectors in candidates]
    if weights is None:
        return found[0]
    mixed = weights[0] * found[0]
    for weight, result in zip(weights[1:], found[1:], strict=True):
        mixed = mixed + weight * result
    return mixed


def _attention(
    block: Any, x: Tensor, queries: Tensor, vectors: Tensor, mask: Tensor | None
) -> Tensor:
    """Of x (tokens, batch, width) to ``[x; vectors]``, output projection included."""
    attention = block.attn
    keys = queries
    if len(vectors):
        shared = vectors[:, None].expand(-1, x.shape[1], -1)
        keys = block.ln_1(torch.cat([x, shared]))
        if mask is not None:
            # Every token sees every context vector.
            mask = functional.pad(mask, (0, len(vectors)))
    found, _ = functional.multi_head_attention_forward(
        queries,
        keys,
        keys,
        attention.embed_dim,
        attention.num_heads,
        attention.in_proj_weight,
        attention.in_proj_bias,
        None,
        None,
        False,
        0.0,
        attention.out_proj.weight,
        attention.out_proj.bias,
        training=False,
        # So that it takes torch's fused attention.
        need_weights=False,
        attn_mask=mask,
    )
    return found
