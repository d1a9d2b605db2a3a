"""A cache of labelled image features beside the captions: Tip-Adapter, and with learned keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dpl_nas.io.validation import Number
from dpl_nas.methods.features import FittedMethod, LabelledFeatures, Views, Worded
from dpl_nas.methods.method import Method
from dpl_nas.seeds import derive_seed
from dpl_nas.training.batches import epoch_rows
from dpl_nas.training.problem import Problem

__all__ = ["TipAdapter", "TipAdapterF"]

_KEYS, _LABELS = "keys", "labels"

#: What a small search multiplies the weight and the sharpness by.
_WEIGHT_TIMES, _SHARPNESS_TIMES = (1.0, 4.0, 16.0), (1.0, 0.25)


class TipAdapter(FittedMethod):
    """Tip-Adapter: similar images of the cache add to the logits of their classes.

    Attributes
    ----------
    weight
        Factor of what the cache says, alpha.
    sharpness
        How fast it falls with the distance, beta.
    views
        Augmented views of an image, whose mean is its key.
    """

    title: ClassVar[str] = "Tip-Adapter"
    paper: ClassVar[str] = "Zhang et al. 2022 (arXiv 2207.09519), alpha 1 and beta 5.5, not tuned"

    captions: Worded = "one"
    weight: Number = Field(default=1.0, ge=0)
    sharpness: Number = Field(default=5.5, ge=0)
    views: int = Field(default=10, ge=1)

    def variants(self, problem: Problem) -> Mapping[str, Method]:
        """Return it with other weights and distances, as its code does on validation images."""
        del problem
        return {
            f"weight {weight:.3g}, sharpness {sharpness:.3g}": self.model_copy(
                update={"weight": weight, "sharpness": sharpness}
            )
            for weight in (times * self.weight for times in _WEIGHT_TIMES)
            for sharpness in (times * self.sharpness for times in _SHARPNESS_TIMES)
        }

    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        """Return a key (images, embed) of length 1 for each image, and its label (images,)."""
        return self.cache(features, Views(problem, rows), problem.seed)

    def cache(self, features: LabelledFeatures, views: Views, seed: int) -> dict[str, Tensor]:
        """Return the cache: keys that are means of views, and labels."""
        total = torch.zeros_like(features.images)
        for view in range(self.views):
            total += views.features(derive_seed(seed, "tip-adapter keys", view))
        return {_KEYS: functional.normalize(total, dim=-1), _LABELS: features.labels}

    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        """CLIP's logits plus those of the cache (equation 6)."""
        near = torch.exp(-self.sharpness * (1 - images @ tensors[_KEYS].T))
        member = functional.one_hot(tensors[_LABELS], len(captions)).to(near.dtype)
        return scale * images @ captions.T + self.weight * near @ member

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """None: the cache is only stored."""
        del tensors
        return 0


class TipAdapterF(TipAdapter):
    """Tip-Adapter-F: the keys of the cache are trained.

    Attributes
    ----------
    epochs, batch_size, lr
        Of AdamW with eps 1e-4 and a cosine schedule.
    """

    title: ClassVar[str] = "Tip-Adapter-F"
    paper: ClassVar[str] = "Zhang et al. 2022 (arXiv 2207.09519), alpha 1 and beta 5.5, not tuned"

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=256, ge=1)
    lr: Number = Field(default=1e-3, gt=0)

    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        """Return trained keys, which need not be of length 1 any more."""
        views = Views(problem, rows)
        cache = self.cache(features, views, problem.seed)
        keys = cache[_KEYS].clone().requires_grad_()
        optimizer = torch.optim.AdamW([keys], lr=self.lr, eps=1e-4)
        steps = self.epochs * -(-len(rows) // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for epoch in range(self.epochs):
            images = views.features(derive_seed(problem.seed, "tip-adapter-f views", epoch))
            for batch in epoch_rows(len(rows), self.batch_size, problem.seed, epoch):
                scores = self.score(
                    cache | {_KEYS: keys}, images[batch], features.captions, features.scale
                )
                optimizer.zero_grad()
                functional.cross_entropy(scores, features.labels[batch]).backward()
                optimizer.step()
                schedule.step()
        return cache | {_KEYS: keys.detach()}

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """All numbers of the keys."""
        return tensors[_KEYS].numel()
