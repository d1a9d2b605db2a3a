"""Embeddings of all of CLIP's tokens, learned from the few that captions use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dpl_nas.mini.words import WORD_DIMENSIONS, load_word_vectors

__all__ = ["TokenTable"]

#: Standard deviation of a fresh embedding.
_SD = 0.3


class TokenTable(nn.Module):
    """A learned map of word vectors, and a row of its own for each token of some.

    Parameters
    ----------
    tokens
        The tokens that have a row, ``(n,)``, ascending.
    width
        Size of an embedding.
    """

    def __init__(self, tokens: Tensor, width: int) -> None:
        super().__init__()
        vectors = load_word_vectors()
        self.projection = nn.Parameter(
            torch.randn(WORD_DIMENSIONS, width) * (_SD * WORD_DIMENSIONS**-0.5)
        )
        self.rows = nn.Parameter(torch.randn(len(tokens), width) * (0.3 * _SD))
        places = torch.full((len(vectors),), -1)
        places[tokens] = torch.arange(len(tokens))
        self.register_buffer("tokens", tokens.to(torch.int32))
        self.register_buffer("_vectors", vectors, persistent=False)
        self.register_buffer("_places", places, persistent=False)

    def forward(self, ids: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the embeddings of tokens, ``(..., width)``.

        Parameters
        ----------
        ids
            Tokens ``(...)``.
        kept
            Weights of the rows, ``(n,)``; one by default.
        """
        vectors, places = self.get_buffer("_vectors"), self.get_buffer("_places")[ids]
        own = self.rows if kept is None else self.rows * kept.unsqueeze(1)
        own = nn.functional.embedding(places.clamp(min=0), own) * (places >= 0).unsqueeze(-1)
        embedded: Tensor = vectors[ids] @ self.projection + own
        return embedded

    @torch.no_grad()
    def whole(self) -> Tensor:
        """Return the embeddings of all tokens, ``(VOCABULARY_SIZE, width)``."""
        embedded: Tensor = self(torch.arange(len(self.get_buffer("_vectors"))))
        return embedded
