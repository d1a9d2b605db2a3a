"""Captions as the text tower's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpl_nas.backbone.memory import kept_bytes
from dpl_nas.backbone.packing import TextPlan, plan_text, seen_mask, whole_plan
from dpl_nas.io.reprs import short_repr

__all__ = ["KEPT", "TextInputs", "ends_of_text", "mean_inputs"]

#: What a backward pass keeps of a token in a layer, in units of its width (measured): inputs of
#: both layer norms, queries, keys and values on the grid, attention's result and its shares,
#: hidden units.
KEPT = 20


def ends_of_text(tokens: Tensor) -> Tensor:
    """Return the position (classes,) of the highest token, which ends the text in CLIP."""
    return tokens.argmax(dim=-1)


@dataclass(frozen=True)
class TextInputs:
    """Captions, embedded; those of a causal tower are cut after the last token that is read.

    Attributes
    ----------
    embeddings
        ``(classes, tokens, width)``, the positional embedding added.
    pooling
        ``(classes, tokens)``, at least float32, rows summing to 1: how the final hidden tokens
        are averaged to a class's feature. One-hot at the end of text for a plain caption.
    causal
        Whether no token sees a later one.
    seen
        ``(classes, tokens)``: which tokens others may see; ``None`` for all.
    """

    embeddings: Tensor
    pooling: Tensor
    causal: bool = True
    seen: Tensor | None = None

    __repr__ = short_repr

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.embeddings)

    def plan(self, layers: int, *, share: bool = False) -> TextPlan:
        """Return the plan by which a tower of so many layers computes the captions.

        With ``share`` their common prefix is always apart, as learned tokens enter it.
        """
        kept = kept_bytes(self.embeddings.device)
        size = self.embeddings.shape[-1] * self.embeddings.element_size()
        # A tower without layers passes on what it is given.
        token = KEPT * size * max(1, layers)
        limit = max(1, kept // token)
        if not self.packs:
            return whole_plan(self.embeddings, self.pooling, limit, self.seen)
        return plan_text(self.embeddings, self.pooling, limit, share=share)

    @property
    def packs(self) -> bool:
        """Whether tokens may be left out, and a common prefix computed once."""
        return self.causal and self.seen is None

    def to(self, device: str | torch.device) -> TextInputs:
        """Return the same inputs on ``device``."""
        seen = None if self.seen is None else self.seen.to(device)
        return TextInputs(self.embeddings.to(device), self.pooling.to(device), self.causal, seen)

    def mask_of(self, mask: Tensor | None, like: Tensor) -> Tensor | None:
        """Return a mask among tokens together with what is :attr:`seen`.

        Learned tokens after the first, of which there may be more or fewer than the captions have
        places for them, are seen.
        """
        if self.seen is None:
            return mask
        tokens = like.shape[1]
        own = self.seen.shape[1]
        new = self.seen.new_ones(len(self), max(0, tokens - own))
        rest = self.seen[:, 1 + max(0, own - tokens) :]
        return seen_mask(torch.cat([self.seen[:, :1], new, rest], dim=1), mask, like)


@torch.no_grad()
def mean_inputs(
    tokens: Sequence[Tensor],
    token_embedding: Tensor,
    positional_embedding: Tensor,
    ends: Callable[[Tensor], Tensor] = ends_of_text,
    *,
    causal: bool = True,
) -> TextInputs:
    """Return the means over templates of token embeddings and of the positions that are read.

    Parameters
    ----------
    tokens
        ``(classes, context_length)`` for each template.
    token_embedding
        ``(vocabulary, width)``.
    positional_embedding
        ``(context_length, width)``.
    ends
        From tokens (classes, context_length) to the position (classes,) that is read; by default
        the highest token's.
    causal
        Whether no token sees a later one; if so, what follows the last that is read is cut.
    """
    read = [ends(batch) for batch in tokens]
    length = 1 + max(int(end.max()) for end in read) if causal else tokens[0].shape[1]
    classes, width = len(tokens[0]), token_embedding.shape[1]
    # The sum over templates would lose digits in bfloat16.
    wide = torch.promote_types(token_embedding.dtype, torch.float32)
    embeddings = token_embedding.new_zeros(classes, length, width, dtype=wide)
    pooling = torch.zeros_like(embeddings[..., 0])
    rows = torch.arange(classes, device=embeddings.device)
    for batch, end in zip(tokens, read, strict=True):
        embeddings += token_embedding[batch[:, :length]] / len(tokens)
        pooling[rows, end] += 1 / len(tokens)
    embeddings += positional_embedding[:length]
    return TextInputs(embeddings, pooling, causal)
