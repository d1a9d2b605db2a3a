"""Which of a layer's context vectors each candidate attends to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["CandidateLayout"]


@dataclass(frozen=True)
class CandidateLayout:
    """How the context vectors of one layer belong to its candidate lengths.

    Attributes
    ----------
    lengths
        One a candidate; they may repeat and may be 0.
    shared
        Whether candidates share vectors: the candidate of length c then uses the first c of
        ``max(lengths)`` vectors. Otherwise each has vectors of its own, one candidate's after
        the other's.
    """

    lengths: tuple[int, ...]
    shared: bool = False

    @property
    def total(self) -> int:
        """How many vectors there are."""
        if self.shared:
            return max(self.lengths, default=0)
        return sum(self.lengths)

    def rows(self, candidate: int) -> slice:
        """The vectors of a candidate, counted from 0."""
        start = 0 if self.shared else sum(self.lengths[:candidate])
        return slice(start, start + self.lengths[candidate])

    def membership(self, like: Tensor) -> Tensor:
        """``(candidates, total)``: 1 where a vector is a candidate's, else 0.

        Of the type and on the device of ``like``; made once for all calls, so it must not be
        written to.
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
