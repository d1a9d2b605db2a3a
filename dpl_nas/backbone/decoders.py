"""Adapter of decoders of transformers, GPT-2's and Llama's families, to the tower protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dpl_nas.backbone.parts import Attention, Linear, PartsBlock
from dpl_nas.backbone.text import TextInputs, mean_inputs
from dpl_nas.errors import BackboneError

__all__ = ["PADDING", "Decoder", "objection_to_decoder"]

#: What stands in the place of a token after the end of a text.
PADDING = -1

_GPTS = ("gpt2",)
_LLAMAS = ("llama", "mistral", "qwen2", "qwen3")
#: Kinds of rotary positions whose angles change once a text is longer than in pre-training.
_LENGTH_DEPENDENT = ("dynamic", "longrope")


def objection_to_decoder(model: Any) -> str | None:
    """Return why a model of transformers cannot carry context vectors, or ``None``."""
    kind = str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))
    if kind not in (*_GPTS, *_LLAMAS):
        return f"it is Hugging Face's {kind}, none of {', '.join((*_GPTS, *_LLAMAS))}"
    if model.get_output_embeddings() is None:
        return f"it is Hugging Face's {kind} without the layer that tells the next token"
    config = model.config
    window = getattr(config, "sliding_window", None) if _slides(config) else None
    if window is not None and window < config.max_position_embeddings:
        return f"its tokens see only the {window} before them"
    if getattr(config, "reorder_and_upcast_attn", False) or getattr(
        config, "scale_attn_by_inverse_layer_idx", False
    ):
        return "its attention computes scores in a way of its own"
    rope = getattr(getattr(model.base_model, "rotary_emb", None), "rope_type", "default")
    if rope in _LENGTH_DEPENDENT:
        return f"its rotary positions ({rope}) depend on the longest text of a batch"
    return None


def _slides(config: Any) -> bool:
    return bool(getattr(config, "use_sliding_window", True))


class Decoder:
    """A causal language model; a text's feature is what its last token gives the output layer.

    Parameters
    ----------
    model
        Model of transformers with an output layer, to which there is no objection.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._body: Any = model.base_model
        if model.config.model_type in _GPTS:
            layers, make, self._norm = self._body.h, _gpt_block, self._body.ln_f
        else:
            layers, self._norm = self._body.layers, self._body.norm
            rope = _Rope(self._body.rotary_emb)

            def make(layer: Any) -> PartsBlock:
                return _llama_block(layer, rope)

        self.blocks: Sequence[PartsBlock] = tuple(map(make, layers))
        self.width = int(self.token_table.shape[1])

    @property
    def token_table(self) -> Tensor:
        """The weights of the model's own embedding."""
        table: Tensor = self._model.get_input_embeddings().weight
        return table

    @property
    def positions(self) -> Tensor:
        """The weights of the model's own positions, if it has a table of them."""
        table = getattr(self._body, "wpe", None)
        if table is None:
            raise BackboneError(
                "the language model has no table of positions that learned tokens could have: use "
                "context vectors"
            )
        found: Tensor = table.weight
        return found

    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return what enters the first layer, and that the last token of each text is read.

        Parameters
        ----------
        tokens
            ``(texts, length)`` for each template, :data:`PADDING` after the end of a text.

        Raises
        ------
        BackboneError
            If there are more tokens than the model has positions.
        """
        table = self.token_table
        wide = torch.promote_types(table.dtype, torch.float32)
        own = getattr(self._body, "wpe", None)
        length = max(batch.shape[1] for batch in tokens)
        places = (
            torch.zeros(length, table.shape[1], dtype=wide, device=table.device)
            if own is None
            else own.weight
        )
        if length > len(places):
            raise BackboneError(
                f"expected texts of at most {len(places)} tokens, for which the language model has "
                f"positions, found {length}"
            )
        ends = [(batch != PADDING).sum(dim=1) - 1 for batch in tokens]
        filled = [batch.clamp(min=0) for batch in tokens]
        found = iter(ends)
        return mean_inputs(filled, table, places, lambda _: next(found))

    def mask(self, tokens: int, like: Tensor) -> Tensor | None:
        """No token sees a later one."""
        hidden = torch.full((tokens, tokens), -torch.inf, dtype=like.dtype, device=like.device)
        return hidden.triu(1)

    def norm(self, x: Tensor) -> Tensor:
        """The norm before the output layer."""
        normed: Tensor = self._norm(x)
        return normed

    def project(self, pooled: Tensor) -> Tensor:
        """Return what the output layer is given."""
        return pooled

    def rows(self, tokens: Tensor) -> Tensor:
        """Return the output layer's rows ``(tokens, width)`` of some tokens ``(tokens,)``."""
        found: Tensor = self._model.get_output_embeddings().weight[tokens]
        return found


class _Rope:
    """Rotary positions of a family that turns the halves of a head against each other."""

    def __init__(self, table: nn.Module) -> None:
        self._table = table

    def __call__(self, x: Tensor, places: Tensor | None) -> Tensor:
        """Turn heads ``(..., tokens, head_dim)``."""
        if places is None:
            places = torch.arange(x.shape[-2], device=x.device)
        cosines, sines = self._table(x, places[None])
        first, last = x.chunk(2, dim=-1)
        turned: Tensor = x * cosines[0] + torch.cat([-last, first], dim=-1) * sines[0]
        return turned


def _gpt_block(layer: Any) -> PartsBlock:
    own = layer.attn
    return PartsBlock(
        Attention(
            heads=int(own.num_heads),
            projections=(_transposed(own.c_attn),),
            out=_transposed(own.c_proj),
            scale=None if own.scale_attn_weights else 1.0,
        ),
        norm1=layer.ln_1,
        norm2=layer.ln_2,
        mlp=layer.mlp,
    )


def _transposed(module: Any) -> Linear:
    """A ``Conv1D``, which keeps its weight the other way round."""
    return Linear(lambda: module.weight.T, lambda: (module.bias,))


def _llama_block(layer: Any, rope: Callable[[Tensor, Tensor | None], Tensor]) -> PartsBlock:
    own = layer.self_attn
    usual = own.head_dim**-0.5
    return PartsBlock(
        Attention(
            heads=int(own.q_proj.out_features // own.head_dim),
            projections=tuple(map(Linear.of, (own.q_proj, own.k_proj, own.v_proj))),
            out=Linear.of(own.o_proj),
            query_norm=getattr(own, "q_norm", None),
            key_norm=getattr(own, "k_norm", None),
            rotate=rope,
            groups=int(own.num_key_value_groups),
            scale=None if own.scaling == usual else float(own.scaling),
        ),
        norm1=layer.input_layernorm,
        norm2=layer.post_attention_layernorm,
        mlp=layer.mlp,
    )
