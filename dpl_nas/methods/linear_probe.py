"""Logistic regression on image features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from dpl_nas.io.validation import Number
from dpl_nas.methods.features import FittedMethod, LabelledFeatures
from dpl_nas.methods.method import Method
from dpl_nas.training.problem import Problem

__all__ = ["LinearProbe"]

_WEIGHTS, _BIAS = "weights", "bias"

#: What a small search multiplies C by. The paper tries 96 values over twelve decades.
_TIMES = (1.0, 0.01, 0.1, 10.0, 100.0)


class LinearProbe(FittedMethod):
    """scikit-learn's logistic regression.

    Attributes
    ----------
    inverse_strength
        scikit-learn's ``C``: the smaller, the smaller the weights are kept.
    """

    title: ClassVar[str] = "linear probe"
    paper: ClassVar[str] = "Radford et al. 2021; C=0.316 and plain features of openai/CLIP's README"

    unit: ClassVar[bool] = False

    captions: Literal["none"] = "none"
    inverse_strength: Number = Field(default=0.316, gt=0)
    iterations: int = Field(default=1000, ge=1)

    def variants(self, problem: Problem) -> Mapping[str, Method]:
        """Return the probe with weights that are kept smaller, or less small."""
        del problem
        strengths = [times * self.inverse_strength for times in _TIMES]
        return {
            f"C {each:.3g}": self.model_copy(update={"inverse_strength": each})
            for each in strengths
        }

    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        """Return weights (classes, embed) and bias (classes,).

        A class without images has a bias of -100, so it is never the answer.
        """
        from sklearn.linear_model import LogisticRegression

        del problem, rows
        regression = LogisticRegression(C=self.inverse_strength, max_iter=self.iterations)
        labels = features.labels.cpu().numpy()
        images = features.images
        regression.fit(images.double().cpu().numpy(), labels)
        slopes = torch.as_tensor(regression.coef_, dtype=images.dtype, device=images.device)
        level = torch.as_tensor(regression.intercept_, dtype=images.dtype, device=images.device)
        if len(regression.classes_) == 2:
            # scikit-learn has one row for two classes: the logit of the second.
            slopes, level = torch.cat([-slopes, slopes]) / 2, torch.cat([-level, level]) / 2
        weights = torch.zeros(features.classes, images.shape[1], device=images.device)
        bias = torch.full((features.classes,), -100.0, device=images.device)
        present = torch.as_tensor(regression.classes_, device=images.device)
        weights[present], bias[present] = slopes.to(weights.dtype), level.to(bias.dtype)
        return {_WEIGHTS: weights, _BIAS: bias}

    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        """The regression's logits."""
        del captions, scale
        return images @ tensors[_WEIGHTS].T + tensors[_BIAS]

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """Weights and biases."""
        return tensors[_WEIGHTS].numel() + tensors[_BIAS].numel()
