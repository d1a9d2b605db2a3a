"""Adapter of timm's FastViT, as MobileCLIP has it: convolutions, then a stage of attention."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

from timm.models.fastvit import AttentionBlock
from torch import Tensor, nn

from dpl_nas.backbone.parts import Attention, Linear, PartsBlock
from dpl_nas.errors import BackboneError

__all__ = ["FastVitImage", "objection_to_stages"]


def objection_to_stages(trunk: Any) -> str | None:
    """The reason why a ``FastVit`` cannot carry context vectors, or ``None``."""
    if all(isinstance(block, AttentionBlock) for block in trunk.stages[-1].blocks):
        return None
    return "its image tower is timm's FastVit without attention in its last stage"


class FastVitImage:
    """A ``FastVit`` whose last stage has attention: its blocks are the layers.

    What precedes them is an embedding, in which nothing can be learned. Hidden tokens are the
    places of a square grid, which a block's MLP convolves.

    Parameters
    ----------
    trunk
        The model.
    image_size
        Height and width, in pixels.
    head
        What turns the trunk's features into those of the tower.
    """

    def __init__(self, trunk: Any, image_size: tuple[int, int], head: nn.Module) -> None:
        self._trunk, self._head = trunk, head
        blocks = trunk.stages[-1].blocks
        self.width = int(blocks[0].token_mixer.qkv.in_features)
        self.image_size = image_size
        self.blocks = tuple(map(_block, blocks))

    @property
    def pools_first(self) -> bool:
        """Features are a mean over all places."""
        return False

    def embed(self, images: Tensor) -> Tensor:
        """Return the places before the last stage ``(batch, places, width)``."""
        trunk = self._trunk
        x = trunk.stem(images)
        for stage in trunk.stages[:-1]:
            x = stage(x)
        last = trunk.stages[-1]
        return _tokens(last.pos_emb(last.downsample(x)))

    def enter(self, tokens: Tensor) -> Tensor:
        """No token can stand beside a grid."""
        del tokens
        raise BackboneError(_NO_TOKENS)

    def pool(self, x: Tensor) -> Tensor:
        """Return features ``(batch, embed)``."""
        trunk = self._trunk
        features: Tensor = self._head(trunk.forward_head(trunk.final_conv(_grid(x))))
        return features


_NO_TOKENS = (
    "the image tower convolves a grid, beside which no learned tokens can stand: use context "
    "vectors, or a method with tokens in the text tower"
)


def _block(block: Any) -> PartsBlock:
    own = block.token_mixer
    return PartsBlock(
        Attention(
            heads=int(own.num_heads), projections=(Linear.of(own.qkv),), out=Linear.of(own.proj)
        ),
        norm1=lambda x: _each(block.norm, x),
        norm2=lambda x: x,
        mlp=lambda x: _tokens(block.mlp(_grid(x))),
        whole=lambda x, _: _tokens(block(_grid(x))),
        scale1=_scale(block.layer_scale_1),
        scale2=_scale(block.layer_scale_2),
    )


def _scale(module: Any) -> Callable[[Tensor], Tensor] | None:
    return None if isinstance(module, nn.Identity) else lambda x: x * module.gamma.flatten()


def _each(norm: Any, x: Tensor) -> Tensor:
    """Apply a norm over channels (batch, width, height, width) to tokens (..., width)."""
    normed: Tensor = norm(x.flatten(0, -2)[..., None, None])
    return normed.flatten(1).view(x.shape)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def _grid(x: Tensor) -> Tensor:
    side = isqrt(x.shape[1])
    if side * side != x.shape[1]:
        raise BackboneError(_NO_TOKENS)
    grid: Tensor = x.transpose(1, 2).unflatten(2, (side, side))
    return grid
