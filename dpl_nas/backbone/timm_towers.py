"""Adapter of timm's vision transformers to the tower protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers.attention import Attention as TimmAttention
from timm.layers.attention import AttentionRope
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import Eva, EvaAttention, EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer
from torch import Tensor, nn

from dpl_nas.backbone.parts import Attention, Linear, Order, PartsBlock

__all__ = ["TimmImage", "objection_to_trunk"]


def objection_to_trunk(trunk: nn.Module) -> str | None:
    """The reason why a model of timm cannot carry context vectors, or ``None``."""
    if not isinstance(trunk, (VisionTransformer, Eva)):
        return f"its image tower is timm's {type(trunk).__name__}, which is no plain transformer"
    for block in trunk.blocks:
        if not isinstance(block, (Block, ResPostBlock, EvaBlock, EvaBlockPostNorm)):
            return f"its image tower has blocks of timm's {type(block).__name__}"
        if not isinstance(block.attn, (TimmAttention, EvaAttention, AttentionRope)):
            return f"its image tower has the attention of timm's {type(block.attn).__name__}"
    return None


class TimmImage:
    """A ``VisionTransformer`` or ``Eva`` of timm, and what follows it.

    Parameters
    ----------
    trunk
        The model.
    image_size
        Height and width, in pixels.
    head
        What turns the trunk's features into those of the tower; ``None`` for nothing.
    classifies
        Whether the trunk may end with a classifier of its own, which is left out.
    """

    def __init__(
        self,
        trunk: Any,
        image_size: tuple[int, int],
        head: nn.Module | None = None,
        *,
        classifies: bool = False,
    ) -> None:
        self._trunk, self._head = trunk, head
        self._classifies = classifies
        self.width = int(trunk.embed_dim)
        self.image_size = image_size
        self.blocks = tuple(_block(trunk, layer) for layer in range(len(trunk.blocks)))

    @property
    def pools_first(self) -> bool:
        """Whether the class token alone is pooled."""
        trunk = self._trunk
        # Others, such as distilled DeiTs, may read more.
        usual = type(trunk).forward_head in (VisionTransformer.forward_head, Eva.forward_head)
        return bool(
            usual and trunk.global_pool == "token" and getattr(trunk, "attn_pool", None) is None
        )

    def embed(self, images: Tensor) -> Tensor:
        """Patches, class and register tokens with positions ``(batch, tokens, width)``."""
        trunk = self._trunk
        x = trunk._pos_embed(trunk.patch_embed(images))  # noqa: SLF001 - timm has no other name
        # Eva returns rotary embeddings, too, which its blocks have here.
        tokens: Tensor = trunk.norm_pre(x[0] if isinstance(x, tuple) else x)
        return tokens

    def enter(self, tokens: Tensor) -> Tensor:
        """Apply the norm before the first block."""
        entered: Tensor = self._trunk.norm_pre(tokens)
        return entered

    def pool(self, x: Tensor) -> Tensor:
        """Return features ``(batch, embed)``; the norm acts on each token separately."""
        features: Tensor = self._trunk.forward_head(
            self._trunk.norm(x), pre_logits=self._classifies
        )
        return features if self._head is None else self._head(features)


def _block(trunk: Any, layer: int) -> PartsBlock:
    block = trunk.blocks[layer]
    rope = _Rope.of(trunk, layer)
    after: Order = "branch" if isinstance(block, (ResPostBlock, EvaBlockPostNorm)) else "pre"
    eva = isinstance(block, (EvaBlock, EvaBlockPostNorm))

    def whole(x: Tensor, mask: Tensor | None) -> Tensor:
        found: Tensor = (
            block(x, rope=None if rope is None else rope.table(), attn_mask=mask)
            if eva
            else block(x, attn_mask=mask)
        )
        return found

    return PartsBlock(
        _attention(block.attn, rope),
        norm1=block.norm1,
        norm2=block.norm2,
        mlp=block.mlp,
        whole=whole,
        order=after,
        scale1=_layer_scale(block, 1),
        scale2=_layer_scale(block, 2),
    )


def _layer_scale(block: Any, number: int) -> Callable[[Tensor], Tensor] | None:
    """The factor of a branch, which the two families of blocks keep in two ways."""
    module = getattr(block, f"ls{number}", None)
    if module is not None:
        return None if isinstance(module, nn.Identity) else module
    if getattr(block, f"gamma_{number}", None) is None:
        return None
    return lambda x: getattr(block, f"gamma_{number}") * x


def _attention(attn: Any, rope: _Rope | None) -> Attention:
    return Attention(
        heads=int(attn.num_heads),
        projections=_projections(attn),
        out=Linear.of(attn.proj),
        query_norm=_unless_identity(attn.q_norm),
        key_norm=_unless_identity(attn.k_norm),
        rotate=rope,
        groups=int(getattr(attn, "num_kv_groups", 1)),
        inner_norm=_unless_identity(attn.norm),
        gate=_gate(attn),
    )


def _projections(attn: Any) -> tuple[Linear, ...]:
    if attn.qkv is None:
        return tuple(map(Linear.of, (attn.q_proj, attn.k_proj, attn.v_proj)))
    if getattr(attn, "q_bias", None) is None:
        return (Linear.of(attn.qkv),)
    # Keys have no bias that is learned.
    return (Linear(lambda: attn.qkv.weight, lambda: (attn.q_bias, attn.k_bias, attn.v_bias)),)


def _gate(attn: Any) -> Callable[[Tensor], Tensor] | None:
    gate = getattr(attn, "gate", None)
    return None if gate is None else lambda normed: gate(normed).sigmoid()


def _unless_identity(module: Any) -> Any:
    return None if isinstance(module, nn.Identity) else module


class _Rope:
    """Rotary positions of a layer's tokens: those of patches, after class and register tokens."""

    def __init__(self, trunk: Any, layer: int) -> None:
        self._trunk, self._layer = trunk, layer
        attn = trunk.blocks[layer].attn
        self._before = int(attn.num_prefix_tokens)
        self._half = bool(getattr(attn, "rotate_half", False))

    @classmethod
    def of(cls, trunk: Any, layer: int) -> _Rope | None:
        """Return those of a layer, or ``None`` if the model has none."""
        return None if getattr(trunk, "rope", None) is None else cls(trunk, layer)

    def table(self) -> Tensor:
        """Sines and cosines of the patches."""
        rope = self._trunk.rope
        known = getattr(rope, "feat_shape", None) is not None
        table: Tensor = (
            rope.get_embed() if known else rope.get_embed(shape=self._trunk.patch_embed.grid_size)
        )
        return table[self._layer] if getattr(self._trunk, "rope_mixed", False) else table

    def __call__(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Rotate ``(batch, heads, tokens, head_dim)``; tokens after the patches have no place."""
        del places
        table = self.table()
        start, end = self._before, self._before + table.shape[-2]
        if x.shape[-2] <= start:
            return x
        turned = apply_rot_embed_cat(x[..., start:end, :], table, half=self._half).to(x.dtype)
        return torch.cat([x[..., :start, :], turned, x[..., end:, :]], dim=-2)
