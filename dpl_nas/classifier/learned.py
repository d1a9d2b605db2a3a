"""What a classifier has learned: a head and context vectors, or what a method learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.classifier.head import LinearHead
from dpl_nas.classifier.model import Headed
from dpl_nas.io.reprs import short_repr
from dpl_nas.methods import Learned
from dpl_nas.prompted import Context, PromptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.training.evaluation import Classifier, Scorer
from dpl_nas.training.model import load_context_vectors

__all__ = ["ByHead", "ByMethod"]


@dataclass(frozen=True)
class ByHead:
    """A linear head, on an image tower with context vectors.

    Attributes
    ----------
    vectors
        Context vectors (length, width) by ``tower/layer``. Those of the text tower have done their
        part, in the head.
    """

    head: LinearHead
    vectors: Mapping[str, Tensor] = field(default_factory=dict)

    __repr__ = short_repr

    def to(self, device: torch.device | str) -> ByHead:
        """Return the numbers on a device."""
        vectors = {name: value.to(device) for name, value in self.vectors.items()}
        return ByHead(self.head.to(device), vectors)

    def scorer(self, backbone: Backbone, task: Task | None = None) -> Headed:
        """Return the head on its image tower.

        Raises
        ------
        ArchitectureError
            If the vectors do not fit the backbone.
        """
        del task
        own: dict[int, Context] = {}
        for name, value in self.vectors.items():
            tower, layer = name.split("/")
            if tower == "image":
                own[int(layer)] = Context(*value.shape)
        model = PromptedCLIP(backbone, {"image": own} if own else {}).to(backbone.device)
        load_context_vectors(model, self.vectors)
        return Headed(model.fold(), self.head.to(backbone.device))


@dataclass(frozen=True)
class ByMethod:
    """What a method has learned."""

    learned: Learned

    __repr__ = short_repr

    def to(self, device: torch.device | str) -> ByMethod:
        """Return the numbers on a device."""
        tensors = {name: value.to(device) for name, value in self.learned.tensors.items()}
        return ByMethod(replace(self.learned, tensors=tensors))

    def scorer(self, backbone: Backbone, task: Task) -> Scorer:
        """Return the method in use; with class features of its own for all images, as a head.

        Raises
        ------
        CheckpointError
            If the weights of the backbone are not those that it was learned on.
        """
        found = self.learned.scorer(backbone, task)
        if not isinstance(found, Classifier):
            return found
        scale = float(backbone.logit_scale.exp())
        return Headed(found.model, LinearHead.of_captions(found.text_features, scale))
