"""The text tower, run by a plan: the shared prefix once, then each class's own tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from dpl_nas.backbone.packing import PackedClasses, TextPlan
from dpl_nas.backbone.towers import Block, TextTower
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.block import ReadyEntries, ReadyEntry, attend, project, split_heads
from dpl_nas.prompted.entries import LayerTokens, put

__all__ = ["TextStates", "class_features", "first_states", "run_to"]


@dataclass(frozen=True)
class TextStates:
    """Hidden tokens of a plan before layer ``layer``.

    Attributes
    ----------
    plan
        Plan of the captions.
    layer
        The next layer to run.
    prefix
        Hidden tokens of the shared prefix, ``(1, shared, width)``. With a batch of them, each
        is that of as many classes of the plan, in their order.
    own
        Hidden tokens ``(kept, width)`` for each chunk of classes.
    """

    plan: TextPlan
    layer: int
    prefix: Tensor
    own: tuple[Tensor, ...]

    def repeated(self, times: int) -> TextStates:
        """Return the states of all classes so many times, one time after the other."""
        return TextStates(
            self.plan.repeated(times),
            self.layer,
            self.prefix.expand(times, -1, -1),
            tuple(each.repeat(times, 1) for each in self.own),
        )


def first_states(plan: TextPlan) -> TextStates:
    """Return the states before the first layer: the embeddings."""
    return TextStates(plan, 0, plan.prefix[None], tuple(each.embeddings for each in plan.classes))


@torch.no_grad()
def run_to(tower: TextTower, states: TextStates, layer: int, path: KernelPath) -> TextStates:
    """Return the states before a later layer; the layers up to it have no contexts."""
    prefix, shared = _run_prefix(tower, states, {}, range(states.layer, layer), path)
    own = list(states.own)
    for chunk, packed in enumerate(states.plan.classes):
        mask = packed.mask_of(tower.mask(packed.tokens, prefix), prefix)
        passed = tower.blocks[states.layer : layer]
        for block, (keys, values) in zip(passed, shared, strict=True):
            own[chunk] = _own_layer(
                block, own[chunk], packed, keys, values, None, mask, path, last=False
            )
    return TextStates(states.plan, layer, prefix, tuple(own))


def class_features(
    tower: TextTower,
    states: TextStates,
    entries: ReadyEntries,
    path: KernelPath,
    placeholders: int = 0,
) -> Tensor:
    """Return pooled tokens ``(classes, width)`` after all layers and the final layer norm.

    Intermediate results of the last chunks are kept for the backward pass, as far as the plan
    allows. Those of the others are recomputed there, chunk by chunk.

    Parameters
    ----------
    placeholders
        Tokens of the captions, after the first, that learned ones take the place of. All learned
        tokens are in the prefix, so they are computed once for all classes.
    """
    layers = range(states.layer, len(tower.blocks))
    _, shared = _run_prefix(tower, states, entries, layers, path, placeholders)
    # The backward pass begins with the chunks computed last, and frees their memory.
    left = sum(len(x) for x in states.own)
    features = []
    for x, packed in zip(states.own, states.plan.classes, strict=True):
        mask = packed.mask_of(tower.mask(packed.tokens, states.prefix), states.prefix)
        arguments = (tower, x, packed, shared, entries, mask, layers, path)
        if left > states.plan.kept_tokens and left > len(x) and torch.is_grad_enabled():
            features.append(checkpoint(_run_own, *arguments, use_reentrant=False))
        else:
            features.append(_run_own(*arguments))
        left -= len(x)
    together = torch.cat(features)
    return together if states.plan.order is None else together[states.plan.order]


def _run_prefix(
    tower: TextTower,
    states: TextStates,
    entries: ReadyEntries,
    layers: range,
    path: KernelPath,
    held: int = 0,
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the prefix's hidden tokens after the layers, and its keys and values at each.

    ``held`` of its tokens, after the first, are those that learned ones take the place of.
    """
    x = states.prefix
    if not x.shape[1]:
        return x, [(x[None], x[None])] * len(layers)
    mask = tower.mask(x.shape[1], x)
    shared = []
    for layer in layers:
        block, entry = tower.blocks[layer], entries.get(layer)
        if isinstance(entry, LayerTokens):
            x = put(x, entry.vectors, 1, held)
            held = entry.vectors.shape[-2]
            if mask is not None and len(mask) != x.shape[1]:
                mask = tower.mask(x.shape[1], x)
        q, k, v = split_heads(project(block, x, entry), 3, block.heads)
        shared.append((k, v))
        # After the last layer only class tokens are read, not the prefix.
        if layer < len(tower.blocks) - 1:
            x = block.finish(x, attend(block, q, k, v, entry, mask, path))
    return x, shared


def _run_own(
    tower: TextTower,
    x: Tensor,
    packed: PackedClasses,
    shared: list[tuple[Tensor, Tensor]],
    entries: ReadyEntries,
    mask: Tensor | None,
    layers: range,
    path: KernelPath,
) -> Tensor:
    blocks = tower.blocks
    for layer, (keys, values) in zip(layers, shared, strict=True):
        last = layer == len(blocks) - 1
        x = _own_layer(
            blocks[layer], x, packed, keys, values, entries.get(layer), mask, path, last=last
        )
    hidden = tower.norm(x)
    if packed.pooling is None:
        return hidden
    return (packed.pooling @ hidden.to(packed.pooling.dtype)).to(hidden.dtype)


def _for_all(shared: Tensor, classes: int) -> Tensor:
    """Return the prefix's keys or values (prefixes, heads, shared, head_dim) for each class."""
    if shared.shape[0] == 1:
        return shared.expand(classes, -1, -1, -1)
    return shared.repeat_interleave(classes // shared.shape[0], dim=0)


def _own_layer(
    block: Block,
    x: Tensor,
    packed: PackedClasses,
    keys: Tensor,
    values: Tensor,
    entry: ReadyEntry | None,
    mask: Tensor | None,
    path: KernelPath,
    *,
    last: bool,
) -> Tensor:
    """Run a layer on the kept tokens ``(kept, width)``; the last keeps only tokens read later.

    ``mask`` is that among the tokens of a class, each of which sees the whole prefix.
    """
    projected = project(block, x, entry, places=packed.at)
    on_grid = projected if packed.grid is None else projected.index_select(0, packed.grid)
    on_grid = on_grid.view(packed.classes, packed.tokens, -1)
    q, k, v = split_heads(on_grid, 3, block.heads)
    if keys.shape[2]:
        k = torch.cat([_for_all(keys, packed.classes), k], dim=2)
        v = torch.cat([_for_all(values, packed.classes), v], dim=2)
        mask = None if mask is None else functional.pad(mask, (keys.shape[2], 0))
    attended = attend(block, q, k, v, entry, mask, path).flatten(0, 1)
    # index_select, whose backward pass is several times faster than that of [].
    if last:
        x, rows = x.index_select(0, packed.read), packed.read_places
    elif packed.places is not None:
        rows = packed.places
    else:
        return block.finish(x, attended)
    return block.finish(x, attended.index_select(0, rows))
