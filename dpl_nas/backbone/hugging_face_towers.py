"""Adapter of Hugging Face's text encoders, as open_clip wraps them, to the tower protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from dpl_nas.backbone.parts import Attention, Linear, PartsBlock
from dpl_nas.backbone.text import TextInputs
from dpl_nas.errors import BackboneError

__all__ = ["HuggingFaceText", "objection_to_encoder"]

#: Kinds of encoders by the name that their configurations have.
_BERTS = ("bert", "roberta", "xlm-roberta")
_T5S = ("mt5", "t5")
_M2MS = ("m2m_100",)
_POOLERS = ("MeanPooler", "ClsPooler", "ClsLastHiddenStatePooler")


def objection_to_encoder(encoder: Any) -> str | None:
    """The reason why an ``HFTextEncoder`` cannot carry context vectors, or ``None``."""
    kind, pooler = str(encoder.config.model_type), type(encoder.pooler).__name__
    if kind not in (*_BERTS, *_T5S, *_M2MS):
        return f"its text tower is Hugging Face's {kind}"
    if pooler not in _POOLERS:
        return f"its text tower pools by {pooler}"
    return None


class HuggingFaceText:
    """An ``HFTextEncoder`` of BERT's family, T5's encoder, or M2M-100's (NLLB).

    Tokens see each other in both directions, and no padding.
    """

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        transformer, kind = encoder.transformer, str(encoder.config.model_type)
        if kind in _BERTS:
            layers, make, self._norm = transformer.encoder.layer, _bert_block, None
        elif kind in _T5S:
            layers, make, self._norm = transformer.block, _t5_block, transformer.final_layer_norm
        else:
            layers, make, self._norm = transformer.layers, _m2m_block, transformer.layer_norm
        self._layers = layers
        self.blocks: Sequence[PartsBlock] = tuple(map(make, layers))
        self._bias = layers[0].layer[0].SelfAttention if kind in _T5S else None
        self.width = int(self.token_table.shape[1])

    @property
    def token_table(self) -> Tensor:
        """The weights of the model's own embedding."""
        table: Tensor = self._encoder.transformer.get_input_embeddings().weight
        return table

    @property
    def positions(self) -> Tensor:
        """They are the model's own affair: they depend on padding, or are relative."""
        raise BackboneError(
            "the text tower has no table of positions that learned tokens could have: use a method "
            "whose tokens are in the image tower, or context vectors"
        )

    @torch.no_grad()
    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return the mean over templates of what enters the first layer, and what is pooled."""
        pad = int(self._encoder.config.pad_token_id)
        shown = [batch != pad for batch in tokens]
        entered = torch.stack([self._entering(*each) for each in zip(tokens, shown, strict=True)])
        wide = torch.promote_types(entered.dtype, torch.float32)
        pooling = torch.stack([self._pooling(each.to(wide)) for each in shown]).mean(dim=0)
        seen = torch.stack(shown).any(dim=0)
        return TextInputs(entered.to(wide).mean(dim=0), pooling, causal=False, seen=seen)

    def _entering(self, tokens: Tensor, shown: Tensor) -> Tensor:
        """Hidden tokens before the first layer, as the model computes them."""
        found: list[Tensor] = []

        def stop(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(given[0] if given else named["hidden_states"])
            raise _EnteredError

        handle = self._layers[0].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self._encoder.transformer(input_ids=tokens, attention_mask=shown.long())
        except _EnteredError:
            pass
        finally:
            handle.remove()
        return found[0]

    def _pooling(self, shown: Tensor) -> Tensor:
        if type(self._encoder.pooler).__name__ == "MeanPooler":
            return shown / shown.sum(dim=1, keepdim=True)
        first = torch.zeros_like(shown)
        first[:, 0] = 1
        return first

    def mask(self, tokens: int, like: Tensor) -> Tensor | None:
        """Relative positions ``(1, heads, tokens, tokens)`` of T5, whose layers share them."""
        if self._bias is None:
            return None
        bias: Tensor = self._bias.compute_bias(tokens, tokens)
        return bias.to(like.dtype)

    def norm(self, x: Tensor) -> Tensor:
        """The norm after the last layer, if there is one."""
        return x if self._norm is None else cast("Tensor", self._norm(x))

    def project(self, pooled: Tensor) -> Tensor:
        """Apply the layer for the first token, if the encoder has one, and the projection."""
        encoder = self._encoder
        own = getattr(encoder.transformer, "pooler", None)
        if own is not None and getattr(encoder.pooler, "use_pooler_output", False):
            # It reads the first token.
            pooled = own(pooled[:, None])
        features: Tensor = encoder.proj(pooled)
        return features


class _EnteredError(Exception):
    """Ends a forward pass before the first layer."""


def _bert_block(layer: Any) -> PartsBlock:
    """A layer with its norms after the sums."""
    own, output = layer.attention.self, layer.attention.output
    return PartsBlock(
        Attention(
            heads=int(own.num_attention_heads),
            projections=tuple(map(Linear.of, (own.query, own.key, own.value))),
            out=Linear.of(output.dense),
        ),
        norm1=output.LayerNorm,
        norm2=layer.output.LayerNorm,
        mlp=lambda x: layer.output.dense(layer.intermediate(x)),
        order="post",
    )


def _t5_block(layer: Any) -> PartsBlock:
    """A layer whose scores are not scaled; relative positions are in the mask."""
    first, last = layer.layer[0], layer.layer[-1]
    own = first.SelfAttention
    return PartsBlock(
        Attention(
            heads=int(own.n_heads),
            projections=tuple(map(Linear.of, (own.q, own.k, own.v))),
            out=Linear.of(own.o),
            scale=1.0,
        ),
        norm1=first.layer_norm,
        norm2=last.layer_norm,
        mlp=last.DenseReluDense,
    )


def _m2m_block(layer: Any) -> PartsBlock:
    own = layer.self_attn
    act = cast("Callable[[Tensor], Tensor]", layer.activation_fn)
    return PartsBlock(
        Attention(
            heads=int(own.num_heads),
            projections=tuple(map(Linear.of, (own.q_proj, own.k_proj, own.v_proj))),
            out=Linear.of(own.out_proj),
        ),
        norm1=layer.self_attn_layer_norm,
        norm2=layer.final_layer_norm,
        mlp=lambda x: layer.fc2(act(layer.fc1(x))),
    )
