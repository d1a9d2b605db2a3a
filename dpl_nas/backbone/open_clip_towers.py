"""Adapter of open_clip's own transformers to the tower protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone.text import TextInputs, ends_of_text, mean_inputs
from dpl_nas.backbone.towers import Projection
from dpl_nas.kernels import Activation, frozen_linear, frozen_mlp

__all__ = ["OpenClipBlock", "OpenClipImage", "OpenClipText"]

#: QuickGELU's constant.
_QUICK = 1.702


class OpenClipImage:
    """A ``VisionTransformer``."""

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        self.width = int(visual.transformer.width)
        self.blocks = tuple(OpenClipBlock(block) for block in visual.transformer.resblocks)
        height, width = visual.image_size
        self.image_size = (int(height), int(width))

    @property
    def pools_first(self) -> bool:
        """Whether the tower pools its class token."""
        return bool(self._visual.pool_type == "tok" and self._visual.attn_pool is None)

    def embed(self, images: Tensor) -> Tensor:
        """Tokens ``(batch, 1 + patches, width)`` of images ``(batch, 3, size, size)``."""
        visual = self._visual
        x = visual.conv1(images.to(visual.conv1.weight.dtype))  # [b, w, grid, grid]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(x.shape[0], 1, -1), x], dim=1)
        tokens: Tensor = visual.ln_pre(x + visual.positional_embedding)
        return tokens

    def enter(self, tokens: Tensor) -> Tensor:
        """Apply the norm before the first block."""
        entered: Tensor = self._visual.ln_pre(tokens)
        return entered

    def pool(self, x: Tensor) -> Tensor:
        """Return features ``(batch, embed)``; the norm acts on each token separately."""
        visual = self._visual
        if self.pools_first:
            x = visual.ln_post(x[:, 0])
        elif visual.attn_pool is not None:
            x = visual._pool(x)[0]  # noqa: SLF001 - it has no other name
        elif visual.final_ln_after_pool:
            x = visual.ln_post(x[:, 1:].mean(dim=1))
        else:
            x = visual.ln_post(x[:, 1:]).mean(dim=1)
        features: Tensor = x if visual.proj is None else x @ visual.proj
        return features


class OpenClipText:
    """A ``TextTransformer``, or a ``CLIP`` that contains its parts."""

    def __init__(self, tower: Any) -> None:
        self._tower = tower
        self.width = int(tower.transformer.width)
        self.blocks = tuple(OpenClipBlock(block) for block in tower.transformer.resblocks)
        # A CLIP names what belongs to its text tower by a prefix.
        prefix = "" if hasattr(tower, "pool_type") else "text_"
        self._pool = str(getattr(tower, f"{prefix}pool_type"))
        self._eos: Any = getattr(tower, f"{prefix}eos_id", None)
        self._causal = tower.attn_mask is not None

    @property
    def token_table(self) -> Tensor:
        """The weights of the model's own embedding."""
        table: Tensor = self._tower.token_embedding.weight
        return table

    @property
    def positions(self) -> Tensor:
        """The weights of the model's own positions."""
        table: Tensor = self._tower.positional_embedding
        return table

    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return the mean over templates; a caption's feature is read where the model reads it."""
        tower, table = self._tower, self.token_table
        if getattr(tower, "cls_emb", None) is None:
            found = mean_inputs(tokens, table, self.positions, self._read, causal=self._causal)
            if not getattr(tower, "use_pad_mask", False):
                return found
            return replace(found, seen=_seen(tokens, tower.pad_id))
        # A learned token follows each caption, and is what is read.
        extended = [functional.pad(batch, (0, 1), value=len(table)) for batch in tokens]
        table = torch.cat([table, tower.cls_emb[None].to(table.dtype)])
        found = mean_inputs(extended, table, self.positions, _last, causal=self._causal)
        seen = _seen(tokens, tower.pad_id)
        # CoCa's published weights were trained with the class token's place at the wrong end.
        at = (0, 1) if getattr(tower, "correct_cls_mask", False) else (1, 0)
        return replace(found, seen=functional.pad(seen, at, value=True))

    def _read(self, tokens: Tensor) -> Tensor:
        """The position (classes,) of the token that is pooled."""
        if self._pool == "last":
            return _last(tokens)
        if self._pool == "first":
            return torch.zeros_like(tokens[:, 0])
        if self._pool == "eos":
            ends: Tensor = (tokens == self._eos).int().argmax(dim=-1)
            return ends
        return ends_of_text(tokens)

    def mask(self, tokens: int, like: Tensor) -> Tensor | None:
        """No token of a causal tower sees a later one."""
        if not self._causal:
            return None
        mask = torch.full((tokens, tokens), -torch.inf, dtype=like.dtype, device=like.device)
        return mask.triu(1)

    def norm(self, x: Tensor) -> Tensor:
        """The final norm."""
        normed: Tensor = self._tower.ln_final(x)
        return normed

    def project(self, pooled: Tensor) -> Tensor:
        """Apply the final projection: a matrix, a linear layer, or none."""
        projection = self._tower.text_projection
        if projection is None:
            return pooled
        features: Tensor = (
            projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
        )
        return features


class OpenClipBlock:
    """A ``ResidualAttentionBlock`` around torch's ``MultiheadAttention``."""

    inner_norm: Callable[[Tensor], Tensor] | None = None

    def __init__(self, block: Any) -> None:
        self._block = block
        self.heads = int(block.attn.num_heads)

    def project(
        self,
        x: Tensor,
        part: Projection = "qkv",
        added: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """Project with the one matrix that holds the rows of all three."""
        del places
        attention = self._block.attn
        rows = _rows(part, attention.embed_dim)
        projected = frozen_linear(
            _norm(self._block.ln_1, x), attention.in_proj_weight[rows], attention.in_proj_bias[rows]
        )
        return projected if added is None else projected + added

    def project_context(self, vectors: Tensor) -> Tensor:
        """Keys and values ``(vectors, 2 * width)``."""
        norm, attention = self._block.ln_1, self._block.attn
        rows = _rows("kv", attention.embed_dim)
        normed = _norm(norm, vectors.to(norm.weight.dtype))
        return functional.linear(
            normed, attention.in_proj_weight[rows], attention.in_proj_bias[rows]
        )

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Apply output projection, residual, MLP and residual; the residuals need no extra pass."""
        block, out = self._block, self._block.attn.out_proj
        if isinstance(block.ls_1, nn.Identity) and isinstance(block.ls_2, nn.Identity):
            return _mlp(block, frozen_linear(attended, out.weight, out.bias, x), residual=True)
        h = x + block.ls_1(frozen_linear(attended, out.weight, out.bias))
        y: Tensor = h + block.ls_2(_mlp(block, h, residual=False))
        return y

    def norm(self, x: Tensor) -> Tensor:
        """The norm before attention."""
        normed: Tensor = self._block.ln_1(x)
        return normed

    def attention(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Run torch's attention, including the output projection."""
        attention = self._block.attn
        mask = self._each_head(mask, *queries.shape[:2])
        if not attention.batch_first:
            queries, keys = queries.transpose(0, 1), keys.transpose(0, 1)
        result: Tensor = attention(queries, keys, keys, attn_mask=mask, need_weights=False)[0]
        return result if attention.batch_first else result.transpose(0, 1)

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Apply residual, MLP and residual, each with its layer scale."""
        block = self._block
        h = x + block.ls_1(attended)
        result: Tensor = h + block.ls_2(block.mlp(block.ln_2(h)))
        return result

    def run(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the whole block."""
        mask = self._each_head(mask, *x.shape[:2])
        if self._block.attn.batch_first:
            result: Tensor = self._block(x, attn_mask=mask)
        else:
            result = self._block(x.transpose(0, 1), attn_mask=mask).transpose(0, 1)
        return result

    def _each_head(self, mask: Tensor | None, batch: int, queries: int) -> Tensor | None:
        """A mask as torch's attention takes it: one of all, or one of each head of each row."""
        if mask is None or mask.dim() == 2:
            return mask
        return mask.expand(batch, self.heads, queries, -1).flatten(0, 1)


def _last(tokens: Tensor) -> Tensor:
    """The last position, for each of the captions (classes, context_length)."""
    return torch.full_like(tokens[:, 0], tokens.shape[1] - 1)


def _seen(tokens: Sequence[Tensor], pad: int) -> Tensor:
    """Which positions (classes, context_length) are no padding, in any of the templates."""
    return torch.stack([batch != pad for batch in tokens]).any(dim=0)


def _rows(part: Projection, width: int) -> slice:
    """The rows of the requested parts in the matrix of queries, keys and values."""
    if part == "q":
        return slice(0, width)
    return slice(width, None) if part == "kv" else slice(None)


def _norm(norm: Any, x: Tensor, scale: float = 1.0) -> Tensor:
    """Return ``scale * norm(x)``; the factor is put into the norm's weights, which is free."""
    weight, bias = norm.weight, norm.bias
    if x.dtype != weight.dtype:
        result: Tensor = norm(x) * scale
        return result
    if scale != 1.0:
        weight, bias = weight * scale, bias * scale
    return functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _mlp(block: Any, h: Tensor, *, residual: bool) -> Tensor:
    norm, first, last = block.ln_2, block.mlp.c_fc, block.mlp.c_proj
    activation, scale = _activation(block.mlp.gelu)
    exact = h.dtype == first.weight.dtype and h.dtype in (torch.float32, torch.float64)
    if activation is None or not exact or torch.is_autocast_enabled(h.device.type):
        result: Tensor = block.mlp(_norm(norm, h))
        return h + result if residual else result
    bias = first.bias if scale == 1.0 else first.bias * scale
    return frozen_mlp(
        _norm(norm, h, scale),
        first.weight,
        bias,
        last.weight,
        last.bias,
        activation,
        scale,
        h if residual else None,
    )


def _activation(module: nn.Module) -> tuple[Activation | None, float]:
    if isinstance(module, QuickGELU):
        return "silu", _QUICK
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return "gelu", 1.0
    return None, 1.0
