"""Captions as the text tower's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpl_nas.backbone.memory import kept_bytes
from dpl_nas.backbone.packing import TextPlan, plan_text
from dpl_nas.io.reprs import short_repr

__all__ = ["KEPT", "TextInputs", "mean_inputs"]

#: What a backward pass keeps of a token in a layer, in units of its width (measured): inputs of
#: both layer norms, queries, keys and values on the grid, attention's result and its shares,
#: hidden units.
KEPT = 20


@dataclass(frozen=True)
class TextInputs:
    """Captions, embedded and cut after the last end-of-text token among them.

    The cut is exact because the tower is causal.

    Attributes
    ----------
    embeddings
        ``(classes, tokens, width)``, the positional embedding added.
    pooling
        ``(classes, tokens)``, at least float32, rows summing to 1: how the final hidden tokens
        are averaged to a class's feature. One-hot at the end of text for a plain caption.
    """

    embeddings: Tensor
    pooling: Tensor

    __repr__ = short_repr

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.embeddings)

    def plan(self, layers: int, *, share: bool = False) -> TextPlan:
        """Return the plan by which a tower of so many layers computes the captions.

        With ``share`` their common prefix is always apart, as learned tokens enter it.
        """
        kept = kept_bytes(self.embeddings.device)
        token = KEPT * self.embeddings.shape[-1] * self.embeddings.element_size() * layers
        return plan_text(self.embeddings, self.pooling, max(1, kept // token), share=share)

    def to(self, device: str | torch.device) -> TextInputs:
        """Return the same inputs on ``device``."""
        return TextInputs(self.embeddings.to(device), self.pooling.to(device))


@torch.no_grad()
def mean_inputs(
    tokens: Sequence[Tensor], token_embedding: Tensor, positional_embedding: Tensor
) -> TextInputs:
    """Return the means over templates of token embeddings and of end-of-text positions.

    Parameters
    ----------
    tokens
        ``(classes, context_length)`` for each template; the end of text is the highest token.
    token_embedding
        ``(vocabulary, width)``.
    positional_embedding
        ``(context_length, width)``.
    """
    ends = [batch.argmax(dim=-1) for batch in tokens]
    length = 1 + max(int(end.max()) for end in ends)
    classes, width = len(tokens[0]), token_embedding.shape[1]
    # The sum over templates would lose digits in bfloat16.
    wide = torch.promote_types(token_embedding.dtype, torch.float32)
    embeddings = token_embedding.new_zeros(classes, length, width, dtype=wide)
    pooling = torch.zeros_like(embeddings[..., 0])
    rows = torch.arange(classes, device=embeddings.device)
    for batch, end in zip(tokens, ends, strict=True):
        embeddings += token_embedding[batch[:, :length]] / len(tokens)
        pooling[rows, end] += 1 / len(tokens)
    embeddings += positional_embedding[:length]
    return TextInputs(embeddings, pooling)
