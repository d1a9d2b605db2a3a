"""The text tower of several models at once, run by the plan of its captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone.packing import PackedClasses, TextPlan, repeat_indices
from dpl_nas.backbone.text import TextInputs
from dpl_nas.backbone.towers import Block, TextTower
from dpl_nas.prompted import text_tower
from dpl_nas.prompted.block import split_heads
from dpl_nas.prompted.stacked_contexts import StackedContext, TowerStack, attend_stacked, given
from dpl_nas.prompted.text_tower import TextStates

__all__ = ["StackedText", "prepare_text", "run_text"]


@dataclass(frozen=True)
class StackedText:
    """Captions of several models.

    Attributes
    ----------
    plan
        Plan of the captions.
    states
        Hidden tokens before each layer at which models join.
    pooled
        Pooled tokens ``(classes, width)`` of models without contexts; ``None`` if there are none.
    """

    plan: TextPlan
    states: dict[int, TextStates]
    pooled: Tensor | None
    _indices: dict[tuple[int, int], _Indices] = field(default_factory=dict)

    def indices(self, chunk: int, models: int) -> _Indices:
        """Return the places of a chunk's tokens, for so many models."""
        key = (chunk, models)
        if key not in self._indices:
            self._indices[key] = _Indices.of(self.plan.classes[chunk], models)
        return self._indices[key]


@dataclass(frozen=True)
class _Indices:
    """Those of :class:`~dpl_nas.backbone.packing.PackedClasses`, once for each model."""

    grid: Tensor | None
    places: Tensor | None
    read: Tensor
    read_places: Tensor
    at: Tensor

    @classmethod
    def of(cls, packed: PackedClasses, models: int) -> _Indices:
        repeated = partial(repeat_indices, times=models)
        kept, cells = len(packed.embeddings), packed.classes * packed.tokens
        return cls(
            grid=None if packed.grid is None else repeated(packed.grid, kept),
            places=None if packed.places is None else repeated(packed.places, cells),
            read=repeated(packed.read, kept),
            read_places=repeated(packed.read_places, cells),
            at=packed.at.repeat(models),
        )


@torch.no_grad()
def prepare_text(tower: TextTower, stack: TowerStack, text: TextInputs) -> StackedText:
    """Return what does not depend on the contexts."""
    layers = len(tower.blocks)
    plan = text.plan(layers)
    states, found = text_tower.first_states(plan), {}
    for layer in stack.joins:
        if layer < layers:
            states = found[layer] = text_tower.run_to(tower, states, layer, "fast")
    pooled = None
    if layers in stack.joins:
        # The last layer leaves out what is not read, so it is no state.
        before_last = max(0, min(states.layer, layers - 1))
        states = text_tower.run_to(tower, states, before_last, "fast")
        pooled = text_tower.class_features(tower, states, {}, "fast")
    return StackedText(plan, found, pooled)


def run_text(tower: TextTower, stack: TowerStack, text: StackedText) -> Tensor:
    """Return pooled tokens ``(models, classes, width)``, in the order of joining."""
    layers = len(tower.blocks)
    prefix: Tensor | None = None
    own: list[Tensor | None] = [None] * len(text.plan.classes)
    for layer, block in enumerate(tower.blocks):
        state = text.states.get(layer)
        prefix = stack.join(layer, prefix, None if state is None else state.prefix)
        for chunk in range(len(own)):
            own[chunk] = stack.join(layer, own[chunk], None if state is None else state.own[chunk])
        if prefix is None:
            continue
        context = stack.context(block, layer)
        last = layer == layers - 1
        keys, values, prefix = _run_prefix(tower, block, prefix, context, last=last)
        for chunk, packed in enumerate(text.plan.classes):
            x = given(own[chunk])
            indices = text.indices(chunk, stack.active(layer))
            mask = _mask(tower, packed, x, stack.active(layer), keys.shape[2])
            shared = keys, values
            own[chunk] = _run_own(block, x, packed, indices, shared, context, mask, last=last)
    parts = []
    for kept, packed in zip(own, text.plan.classes, strict=True):
        if kept is not None:
            hidden = tower.norm(kept)
            read = hidden.view(-1, len(packed.read), hidden.shape[-1])
            if packed.pooling is not None:
                read = (packed.pooling @ read.to(packed.pooling.dtype)).to(hidden.dtype)
            parts.append(read)
    found = []
    if parts:
        together = torch.cat(parts, dim=1)
        found.append(together if text.plan.order is None else together[:, text.plan.order])
    if text.pooled is not None:
        found.append(text.pooled.expand(stack.joins[layers], -1, -1))
    return torch.cat(found)


def _mask(
    tower: TextTower, packed: PackedClasses, x: Tensor, models: int, shared: int
) -> Tensor | None:
    """The mask of a chunk's own tokens, which see the whole prefix of ``shared`` tokens."""
    mask = packed.mask_of(tower.mask(packed.tokens, x), x)
    if mask is None:
        return None
    mask = functional.pad(mask, (shared, 0))
    return (
        mask if mask.dim() == 2 else mask.expand(packed.classes, -1, -1, -1).repeat(models, 1, 1, 1)
    )


def _run_prefix(
    tower: TextTower, block: Block, x: Tensor, context: StackedContext | None, *, last: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return keys, values and results of the shared prefix ``(models, shared, width)``."""
    tokens = x.shape[1]
    if not tokens:
        return x[None], x[None], x
    q, k, v = split_heads(block.project(x), 3, block.heads)
    if not last:
        x = block.finish(x, attend_stacked(block, q, k, v, context, tower.mask(tokens, x)))
    return k, v, x


def _run_own(
    block: Block,
    x: Tensor,
    packed: PackedClasses,
    indices: _Indices,
    shared: tuple[Tensor, Tensor],
    context: StackedContext | None,
    mask: Tensor | None,
    *,
    last: bool,
) -> Tensor:
    """Run a layer on the kept tokens ``(models * kept, width)``."""
    projected = block.project(x, places=indices.at)
    on_grid = projected if indices.grid is None else projected.index_select(0, indices.grid)
    on_grid = on_grid.view(-1, packed.tokens, on_grid.shape[-1])
    q, k, v = split_heads(on_grid, 3, block.heads)
    keys, values = shared
    if keys.shape[2]:
        k = torch.cat([keys.repeat_interleave(packed.classes, dim=0), k], dim=2)
        v = torch.cat([values.repeat_interleave(packed.classes, dim=0), v], dim=2)
    attended = attend_stacked(block, q, k, v, context, mask).flatten(0, 1)
    if last:
        return block.finish(
            x.index_select(0, indices.read), attended.index_select(0, indices.read_places)
        )
    if indices.places is None:
        return block.finish(x, attended)
    return block.finish(x, attended.index_select(0, indices.places))
