"""Assignment of a layer's context vectors to its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dpl_nas.io.reprs import short_repr

__all__ = ["CandidateLayout"]


@dataclass(frozen=True)
class CandidateLayout:
    """Assignment of one layer's context vectors to its candidate lengths.

    Attributes
    ----------
    lengths
        One length per candidate; lengths may repeat and may be 0.
    shared
        Whether candidates share vectors: the candidate of length c then uses the first c of
        ``max(lengths)`` vectors. Otherwise each has its own vectors, concatenated in order.
    """

    lengths: tuple[int, ...]
    shared: bool = False

    __repr__ = short_repr

    @property
    def total(self) -> int:
        """Number of vectors in all."""
        if self.shared:
            return max(self.lengths, default=0)
        return sum(self.lengths)

    def rows(self, candidate: int) -> slice:
        """Return the indices of a candidate's vectors."""
        start = 0 if self.shared else sum(self.lengths[:candidate])
        return slice(start, start + self.lengths[candidate])

    def membership(self, like: Tensor) -> Tensor:
        """Return ``(candidates, total)``: 1 where a vector belongs to a candidate, else 0.

        It has the type and device of ``like``. It is cached, so it must not be written to.
        """
        return _membership(self, like.dtype, like.device)


@lru_cache(maxsize=256)
def _membership(layout: CandidateLayout, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Inference mode would make a tensor that no later backward pass may use.
    with torch.inference_mode(False):
        member = torch.zeros(len(layout.lengths), layout.total, dtype=dtype)
        for candidate in range(len(layout.lengths)):
            member[candidate, layout.rows(candidate)] = 1
        return member.to(device)
