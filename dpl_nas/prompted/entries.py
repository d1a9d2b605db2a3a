"""What a layer is given besides its own tokens: contexts, learned tokens, low-rank updates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.io.reprs import short_repr
from dpl_nas.prompted.contexts import ContextMixture

__all__ = ["Entry", "LayerTokens", "LowRankUpdate", "put"]


@dataclass(frozen=True)
class LayerTokens:
    """Learned tokens that take the place of those of the layer before (VPT-deep, Jia et al. 2022).

    They stand behind the others in the image tower, and after the first token in the text tower.
    A layer without its own goes on with those of the layer before, as far as there are any.

    Attributes
    ----------
    vectors
        ``(length, width)``, as they enter the layer: before the first one with what precedes it.
        Or ``(variants, length, width)``, for each prefix of captions its own.
    """

    vectors: Tensor

    __repr__ = short_repr


@dataclass(frozen=True)
class LowRankUpdate:
    """A low-rank update of a layer's projections to queries, keys and values (Hu et al. 2022).

    ``q = W n + b + scale * up_q @ down_q n`` of a normed token n, and likewise for k and v.

    Attributes
    ----------
    down
        ``(3, rank, width)``, for queries, keys and values.
    up
        ``(3, width, rank)``.
    scale
        Factor of the update.
    dropout
        Share of the normed token's numbers that the update does not see in training.
    """

    down: Tensor
    up: Tensor
    scale: float
    dropout: float = 0.0

    __repr__ = short_repr

    def of(self, normed: Tensor, parts: slice = slice(None)) -> Tensor:
        """Return what it adds, ``(..., parts * width)``, for normed tokens ``(..., width)``.

        Parameters
        ----------
        parts
            The needed ones of queries, keys and values.
        """
        down, up = self.down[parts], self.up[parts]
        count, rank, width = down.shape
        if self.dropout:
            # Each projection draws its own, as released.
            shares = [functional.dropout(normed, self.dropout) @ each.T for each in down]
            low = torch.stack(shares, dim=-2)
        else:
            low = (normed @ down.reshape(count * rank, width).T).unflatten(-1, (count, rank))
        added = torch.einsum("...pr,pwr->...pw", low, up)
        return self.scale * added.flatten(-2)


#: What enters a layer, by definition.
Entry = ContextMixture | LayerTokens | LowRankUpdate


def put(x: Tensor, vectors: Tensor, start: int, count: int) -> Tensor:
    """Put learned tokens at ``start`` in place of ``count`` tokens of x (batch, tokens, width)."""
    # Not len(), which is a constant to torch.export.
    new = vectors.to(x.dtype).expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :start], new, x[:, start + count :]], dim=1)
