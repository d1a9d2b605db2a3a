"""CLIP by its captions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from dpl_nas.methods.features import FeatureMethod, Worded
from dpl_nas.observer import Observer
from dpl_nas.training.problem import Problem

__all__ = ["ZeroShot"]


class ZeroShot(FeatureMethod):
    """The most similar caption; with ``captions=ensemble`` the mean over all templates."""

    title: ClassVar[str] = "zero-shot CLIP"
    paper: ClassVar[str] = "Radford et al. 2021, section 3.1"
    transfers: ClassVar[bool] = True

    captions: Worded = "one"

    def learn(
        self, problem: Problem, rows: Sequence[int], state: Path | None, observer: Observer
    ) -> Mapping[str, Tensor]:
        """Learn nothing: no image is read."""
        del problem, rows, state, observer
        return {}

    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        """Scaled cosines to the captions."""
        del tensors
        return scale * images @ captions.T

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """None."""
        del tensors
        return 0
