"""The nearest mean of each class's image features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from torch import Tensor

from dpl_nas.methods.features import FittedMethod, LabelledFeatures
from dpl_nas.training.model import means_of
from dpl_nas.training.problem import Problem

__all__ = ["ClassMeans"]

_MEANS = "means"


class ClassMeans(FittedMethod):
    """Cosines to the mean of each class's image features (prototypes)."""

    title: ClassVar[str] = "class means"
    paper: ClassVar[str] = "Snell et al. 2017 (prototypes), on CLIP's features with cosines"

    captions: Literal["none"] = "none"

    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        """Return the mean of each class, of length 1; zeros for a class without images."""
        del problem, rows
        return {_MEANS: means_of(features.images, features.labels, features.classes)}

    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        """Scaled cosines to the means."""
        del captions
        return scale * images @ tensors[_MEANS].T

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """All numbers of the means."""
        return tensors[_MEANS].numel()
