"""Packing of captions: the shared prefix is computed once, and padding not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

__all__ = [
    "PackedClasses",
    "TextPlan",
    "plan_text",
    "repeat_indices",
    "seen_mask",
    "whole_plan",
]


@dataclass(frozen=True)
class PackedClasses:
    """The own tokens of some classes: after the shared prefix, up to the last one that is read.

    Kept tokens of all these classes are concatenated. For attention they are put on
    a grid of (classes, tokens after the prefix), where padding repeats the first kept token
    and no token that is read attends to it.

    Attributes
    ----------
    classes, tokens
        The grid's size.
    embeddings
        ``(kept, width)``.
    grid
        ``(classes * tokens,)``: the kept token at each cell; ``None`` if the grid is full.
    places
        ``(kept,)``: the cell of each kept token on the flattened grid; ``None`` likewise.
    read
        ``(reads,)``: the kept tokens from which the class features are made.
    read_places
        The cells of these tokens on the flattened grid.
    pooling
        ``(classes, reads)`` weights, or ``None`` if there is one token per class, in order.
    at
        ``(kept,)``: the place of each kept token in its caption, the prefix counted.
    seen
        ``(classes, tokens)``: which tokens others may see; ``None`` for all.
    """

    classes: int
    tokens: int
    embeddings: Tensor
    grid: Tensor | None
    places: Tensor | None
    read: Tensor
    read_places: Tensor
    pooling: Tensor | None
    at: Tensor
    seen: Tensor | None = None

    def mask_of(self, mask: Tensor | None, like: Tensor) -> Tensor | None:
        """Return a mask among the tokens together with what is :attr:`seen`."""
        return mask if self.seen is None else seen_mask(self.seen, mask, like)

    def repeated(self, times: int) -> PackedClasses:
        """Return all classes so many times, one time after the other."""
        kept, cells = len(self.embeddings), self.classes * self.tokens
        again = partial(repeat_indices, times=times)
        pooling = self.pooling
        return PackedClasses(
            classes=times * self.classes,
            tokens=self.tokens,
            embeddings=self.embeddings.repeat(times, 1),
            grid=None if self.grid is None else again(self.grid, kept),
            places=None if self.places is None else again(self.places, cells),
            read=again(self.read, kept),
            read_places=again(self.read_places, cells),
            pooling=None if pooling is None else torch.block_diag(*[pooling] * times),
            at=self.at.repeat(times),
            seen=None if self.seen is None else self.seen.repeat(times, 1),
        )


@dataclass(frozen=True)
class TextPlan:
    """The plan by which a tower computes captions exactly, each token once.

    Attributes
    ----------
    prefix
        ``(shared, width)``: the embeddings that all classes begin with. Nothing before a
        class's name sees it, so their hidden states are the same for every class.
    classes
        All classes, in chunks.
    order
        Position of each class in the concatenated chunks; ``None`` if in order. Several
        chunks hold classes of similar length, which leaves little padding.
    kept_tokens
        Largest number of tokens whose intermediate results are held for a backward pass.
    """

    prefix: Tensor
    classes: tuple[PackedClasses, ...]
    order: Tensor | None
    kept_tokens: int

    @torch.no_grad()
    def repeated(self, times: int) -> TextPlan:
        """Return the plan of all classes so many times, one time after the other."""
        chunks, places, start = [], [], 0
        for packed in self.classes:
            chunks.append(packed.repeated(times))
            size = times * packed.classes
            places.append(torch.arange(start, start + size).view(times, packed.classes))
            start += size
        order = None
        if len(chunks) > 1 or self.order is not None:
            at = torch.cat(places, dim=1).to(self.prefix.device)
            order = (at if self.order is None else at[:, self.order]).flatten()
        return TextPlan(self.prefix, tuple(chunks), order, self.kept_tokens)


#: Tokens times width squared that have to be saved before it pays to share a prefix and to pack:
#: both take more operations, and below this an operation costs more than its arithmetic.
_WORTHWHILE = 1_000_000

#: Tokens per chunk from which matrix products run at full rate.
_CHUNK_TOKENS = 1024


@torch.no_grad()
def plan_text(
    embeddings: Tensor, pooling: Tensor, kept_tokens: int, *, share: bool = False
) -> TextPlan:
    """Return the plan of captions whose features are ``pooling`` of their hidden tokens.

    The prefix is found by comparing embeddings, so any mix of templates has its exact plan; it
    ends before the first token that is read, because that token belongs to one class.

    Parameters
    ----------
    embeddings
        ``(classes, tokens, width)``.
    pooling
        ``(classes, tokens)``.
    kept_tokens
        Limit of :class:`TextPlan`; no chunk has more, unless a single class does.
    share
        Whether the prefix is apart even where it does not pay.
    """
    pooling_at = pooling.cpu()
    reads = pooling_at != 0
    tokens = reads.shape[1]
    same = (embeddings == embeddings[:1]).all(dim=-1).all(dim=0).cpu()
    before = ~reads.any(dim=0)
    prefix = int((same & before).long().cumprod(dim=0).sum())
    # The last token that is read, for each class; later tokens change nothing.
    last = (reads * torch.arange(1, tokens + 1)).amax(dim=1) - 1
    own = last - prefix + 1
    saved = (reads.numel() - prefix - int(own.sum())) * embeddings.shape[-1] ** 2
    if saved < _WORTHWHILE and not share:
        # All tokens up to the end are kept: results of padding are never read.
        prefix, own = 0, torch.full_like(own, tokens)
    sizes = _chunk_sizes(own.sort().values.tolist(), min(kept_tokens, _CHUNK_TOKENS))
    rows = torch.arange(len(own))
    if len(sizes) > 1:
        rows = own.argsort(stable=True)
    order = None if len(sizes) == 1 else rows.argsort().to(embeddings.device)
    chunks = [
        _pack(
            embeddings[part.to(embeddings.device), prefix:],
            pooling_at[part, prefix:],
            own[part],
            prefix,
        )
        for part in rows.split(sizes)
    ]
    return TextPlan(embeddings[0, :prefix], tuple(chunks), order, kept_tokens)


def seen_mask(seen: Tensor, mask: Tensor | None, like: Tensor) -> Tensor:
    """Return the additive mask ``(classes, 1, 1 or tokens, tokens)`` of the type of ``like``.

    Parameters
    ----------
    seen
        ``(classes, tokens)``: which tokens others may see.
    mask
        Another mask ``(tokens, tokens)`` that holds, too.
    """
    hidden = torch.zeros(seen.shape, dtype=like.dtype, device=like.device)
    hidden = hidden.masked_fill(~seen, -torch.inf)[:, None, None]
    return hidden if mask is None else hidden + mask


@torch.no_grad()
def whole_plan(
    embeddings: Tensor, pooling: Tensor, kept_tokens: int, seen: Tensor | None
) -> TextPlan:
    """Return the plan of a tower in which tokens see later ones: nothing is shared or left out.

    Parameters are those of :func:`plan_text` and :class:`PackedClasses`.
    """
    classes, tokens = pooling.shape
    own = torch.full((classes,), tokens)
    sizes = _chunk_sizes(own.tolist(), min(kept_tokens, _CHUNK_TOKENS))
    parts = torch.arange(classes).split(sizes)
    pooling_at = pooling.cpu()
    chunks = []
    for part in parts:
        rows = part.to(embeddings.device)
        packed = _pack(embeddings[rows], pooling_at[part], own[part])
        chunks.append(packed if seen is None else replace(packed, seen=seen[rows]))
    return TextPlan(embeddings[0, :0], tuple(chunks), None, kept_tokens)


def repeat_indices(indices: Tensor, step: int, *, times: int) -> Tensor:
    """Return indices into rows, again and again: each time ``step`` rows further."""
    shift = torch.arange(times, device=indices.device)[:, None] * step
    return (indices + shift).flatten()


def _chunk_sizes(own: list[int], limit: int) -> list[int]:
    """Number of classes in each chunk: even, and at most ``limit`` kept tokens per chunk."""
    chunks = max(1, -(-sum(own) // limit))
    target = sum(own) / chunks
    sizes: list[int] = []
    kept = size = 0
    for count in own:
        if size and (kept + count > limit or kept >= target):
            sizes.append(size)
            kept = size = 0
        kept += count
        size += 1
    return [*sizes, size]


def _pack(embeddings: Tensor, pooling: Tensor, own: Tensor, prefix: int = 0) -> PackedClasses:
    device = embeddings.device
    tokens = int(own.max())
    kept = torch.arange(tokens) < own[:, None]  # [classes, tokens]
    places = kept.flatten().nonzero().flatten()
    number = kept.flatten().long().cumsum(dim=0) - 1
    pooling = pooling[:, :tokens]
    read_places = (pooling != 0).flatten().nonzero().flatten()
    plain = len(read_places) == len(own) and bool((pooling.sum(dim=1) == 1).all())
    weights = None
    if not plain:
        weights = torch.zeros(len(own), len(read_places), dtype=pooling.dtype)
        numbers = torch.arange(len(read_places))
        weights[read_places // tokens, numbers] = pooling.flatten()[read_places]
        weights = weights.to(device)
    dense = bool(kept.all())
    return PackedClasses(
        classes=len(own),
        tokens=tokens,
        embeddings=embeddings[:, :tokens].flatten(0, 1)[places.to(device)],
        grid=None if dense else torch.where(kept.flatten(), number, 0).to(device),
        places=None if dense else places.to(device),
        read=number[read_places].to(device),
        read_places=read_places.to(device),
        pooling=weights,
        at=(places % tokens + prefix).to(device),
    )
