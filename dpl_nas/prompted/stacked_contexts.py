"""The contexts of several models in one tower, and the layers that attend to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone.towers import Block
from dpl_nas.prompted.block import join_heads
from dpl_nas.prompted.contexts import Context
from dpl_nas.prompted.image_tower import project_tokens

__all__ = ["StackedContext", "TowerStack", "attend_stacked", "given"]


@dataclass(frozen=True)
class StackedContext:
    """The keys and values of the contexts of a layer's models, (models, heads, longest, head_dim).

    Attributes
    ----------
    padding
        Additive mask ``(models, 1, 1, longest)`` that hides what pads shorter contexts; ``None``
        if all are of the same length.
    """

    keys: Tensor
    values: Tensor
    padding: Tensor | None


class TowerStack(nn.Module):
    """All context vectors of several models in a tower, one parameter ``(vectors, width)``.

    Models are kept in the order in which they join: by their first layer with contexts. One
    without contexts joins after the last layer.

    Parameters
    ----------
    contexts
        For each model, its contexts by layer.
    layers
        Number of the tower's layers.
    """

    vectors: Tensor
    places: Tensor

    def __init__(self, contexts: Sequence[Mapping[int, Context]], layers: int) -> None:
        super().__init__()
        firsts = [min(each, default=layers) for each in contexts]
        order = sorted(range(len(contexts)), key=lambda model: firsts[model])
        #: Layers before which models join, and how many do.
        self.joins = {layer: firsts.count(layer) for layer in sorted(set(firsts))}
        #: Where each model is in the order of joining.
        self.register_buffer("places", torch.tensor(order).argsort(), persistent=False)
        self._contexts = [contexts[model] for model in order]
        parts = [each.vectors for own in self._contexts for each in own.values()]
        if parts:
            self.vectors = nn.Parameter(torch.cat(parts).detach().clone())
        starts: list[dict[int, int]] = []
        count = 0
        for own in self._contexts:
            starts.append({})
            for layer, each in own.items():
                starts[-1][layer] = count
                count += each.length
        self._index(starts)

    def _index(self, starts: Sequence[Mapping[int, int]]) -> None:
        """Note, for each layer with contexts, where its vectors are."""
        self._layers: set[int] = {layer for own in starts for layer in own}
        for layer in self._layers:
            # Those that have joined; of the others no layer so early has contexts.
            active = sum(count for join, count in self.joins.items() if join <= layer)
            lengths = [own[layer].length if layer in own else 0 for own in self._contexts[:active]]
            longest = max(lengths)
            rows: list[int] = []
            grid = torch.full((active, longest), sum(lengths))
            for model, length in enumerate(lengths):
                grid[model, :length] = torch.arange(len(rows), len(rows) + length)
                if length:
                    start = starts[model][layer]
                    rows += range(start, start + length)
            padding = torch.zeros(active, 1, 1, longest)
            padding.masked_fill_((grid == sum(lengths))[:, None, None], -torch.inf)
            self.register_buffer(f"rows_{layer}", torch.tensor(rows), persistent=False)
            self.register_buffer(f"grid_{layer}", grid.flatten(), persistent=False)
            whole = all(length == longest for length in lengths)
            self.register_buffer(f"padding_{layer}", None if whole else padding, persistent=False)

    def context(self, block: Block, layer: int) -> StackedContext | None:
        """Return the keys and values at a layer for all models that have joined."""
        if layer not in self._layers:
            return None
        vectors = self.vectors.index_select(0, self.get_buffer(f"rows_{layer}"))
        both = block.project_context(vectors)
        grid = self.get_buffer(f"grid_{layer}")
        # One row of zeros stands for all padding.
        both = torch.cat([both, both.new_zeros(1, both.shape[1])]).index_select(0, grid)
        padding = getattr(self, f"padding_{layer}")
        longest = len(grid) // self.active(layer)
        keys, values = (
            part.view(-1, longest, block.heads, part.shape[-1] // block.heads).transpose(1, 2)
            for part in both.chunk(2, dim=-1)
        )
        return StackedContext(keys, values, padding)

    def active(self, layer: int) -> int:
        """Return how many models have joined before ``layer``, those that do so there included."""
        return sum(count for join, count in self.joins.items() if join <= layer)

    def join(self, layer: int, x: Tensor | None, state: Tensor | None) -> Tensor | None:
        """Add the models that join before ``layer`` to hidden tokens ``(models * batch, ...)``."""
        count = self.joins.get(layer, 0)
        if not count:
            return x
        state = given(state)
        new = state.repeat(count, *(1 for _ in state.shape[1:]))
        return new if x is None else torch.cat([x, new])

    def run(self, block: Block, layer: int, x: Tensor, *, only_first: bool) -> Tensor:
        """Run a layer of the image tower on hidden tokens ``(models * batch, tokens, width)``.

        With ``only_first`` only the first token goes on.
        """
        rows, q, k, v = project_tokens(block, x, only_first=only_first)
        attended = attend_stacked(block, q, k, v, self.context(block, layer), None)
        return block.finish(rows, attended)

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the vectors into the contexts that they came from."""
        start = 0
        for own in self._contexts:
            for each in own.values():
                each.vectors.copy_(self.vectors[start : start + each.length])
                start += each.length


def given(x: Tensor | None) -> Tensor:
    """Return hidden tokens that are there, as some model has joined."""
    if x is None:
        raise ValueError("expected hidden tokens, found none: no model has joined")
    return x


def attend_stacked(
    block: Block,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context: StackedContext | None,
    mask: Tensor | None,
) -> Tensor:
    """Return attention's result with the heads joined, ``(models * batch, queries, width)``.

    The block's inner norm is included.

    Parameters
    ----------
    q, k, v
        ``(models * batch, heads, tokens, head_dim)``.
    mask
        Additive mask ``(queries, tokens)``, or one that broadcasts to ``(models * batch, heads,
        queries, tokens)``, of which the first is not 1;
        ``None`` for full attention.
    """
    if context is not None:
        models, _, longest, _ = context.keys.shape
        batch = len(k) // models
        k = torch.cat([context.keys.repeat_interleave(batch, dim=0), k], dim=2)
        v = torch.cat([context.values.repeat_interleave(batch, dim=0), v], dim=2)
        if context.padding is not None:
            queries, tokens = q.shape[2], k.shape[2] - longest
            padding = context.padding.to(q.dtype).expand(-1, -1, queries, -1)
            plain = q.new_zeros(queries, tokens) if mask is None else mask.to(q.dtype)
            if plain.dim() > 2:
                padding = padding.repeat_interleave(batch, dim=0).expand(-1, plain.shape[1], -1, -1)
                mask = torch.cat([padding, plain.expand(-1, -1, queries, -1)], dim=3)
            else:
                mask = torch.cat([padding, plain.expand(models, 1, -1, -1)], dim=3)
                mask = mask.repeat_interleave(batch, dim=0)
        elif mask is not None:
            mask = functional.pad(mask, (longest, 0)).to(q.dtype)
    return join_heads(block, functional.scaled_dot_product_attention(q, k, v, attn_mask=mask))
