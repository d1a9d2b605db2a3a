"""Context vectors of a length of its own at each layer, alone and with others' ideas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import InitSettings, TextTemplate, TrainSettings
from dpl_nas.kernels import CandidateLayout
from dpl_nas.methods.depths import LayerLengths, lengths_at
from dpl_nas.methods.layered import LayeredMethod
from dpl_nas.methods.maple import coupled_lengths
from dpl_nas.methods.regulated import SelfRegulation, regulated_loss
from dpl_nas.methods.tokens import coupling_maps
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.prompted import AdaptedCLIP, Context, ContextMixture, PromptedCLIP, initialise
from dpl_nas.seeds import derive_seed
from dpl_nas.space import TOWERS, Tower
from dpl_nas.tasks import Task
from dpl_nas.training.losses import Loss
from dpl_nas.training.model import class_captions

__all__ = ["CoupledContext", "Dpl", "DplMaple", "DplPromptSrc"]


class Dpl(LayeredMethod):
    """Context vectors as keys and values; a search finds the lengths, or one is everywhere.

    Attributes
    ----------
    length
        Length at all layers of both towers.
    template
        Whether captions have the task's template, or mean embeddings over all.
    """

    title: ClassVar[str] = "DPL"
    paper: ClassVar[str] = "Huang et al. 2025 (arXiv 2501.00457)"

    length: int = Field(default=4, ge=1)
    template: TextTemplate = "mean_embedding"

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 40 epochs of batches of 4."""
        del shots, images
        return coop_recipe(lr=3.5e-3, epochs=40, batch_size=4)

    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return lengths by tower and layer."""
        uniform = {tower: (self.length, backbone.layers[tower]) for tower in TOWERS}
        return lengths_at(backbone, self.lengths, uniform)

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, with vectors that are drawn."""
        return PromptedCLIP(backbone, _contexts(backbone, self.lengths_in(backbone), seed))

    def captions(self, backbone: Backbone, task: Task) -> TextInputs:
        """Return the captions of ``template``."""
        names = task.class_names
        return class_captions(backbone, names, task.template, task.templates, self.template)


class DplPromptSrc(Dpl):
    """DPL with PromptSRC's regularisers and its mean over epochs.

    Attributes
    ----------
    regulation
        The regularisers, and the mean over epochs.
    """

    title: ClassVar[str] = "DPL + PromptSRC"

    regulation: SelfRegulation = SelfRegulation()

    def loss(self, settings: TrainSettings, task: Task, backbone: Backbone, labels: Tensor) -> Loss:
        """Return cross-entropy with the regularisers."""
        return regulated_loss(self.regulation, settings, task, backbone, labels)

    def averaging(self, epochs: int) -> Sequence[float]:
        """Return the Gaussian's weights of the epochs."""
        return self.regulation.epoch_weights(epochs)


class DplMaple(Dpl):
    """DPL with MaPLe's coupling: image contexts are linear maps of text contexts."""

    title: ClassVar[str] = "DPL + MaPLe"
    #: Lengths of the image tower are those of the text tower.
    towers: ClassVar[tuple[Tower, ...]] = ("text",)

    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return lengths by layer, under the text tower."""
        depth = min(backbone.layers.values())
        own = lengths_at(backbone, self.lengths, {"text": (self.length, depth)})
        return {"text": coupled_lengths(backbone, own)}

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, with maps and text vectors that are drawn."""
        contexts = _contexts(backbone, self.lengths_in(backbone), seed)
        text = contexts["text"]
        maps = coupling_maps(backbone, text, seed)
        contexts["image"] = {
            layer: CoupledContext(context, maps[str(layer)]) for layer, context in text.items()
        }
        return PromptedCLIP(backbone, contexts)


class CoupledContext(nn.Module):
    """A context of the image tower that is a map of one of the text tower.

    Parameters
    ----------
    source
        Context of the text tower, whose parameters stay its own.
    linear
        The map, a parameter of this module.
    """

    def __init__(self, source: nn.Module, linear: nn.Module) -> None:
        super().__init__()
        # Not a child, whose parameters would be saved twice.
        self._source = (source,)
        self.linear = linear

    def forward(self) -> ContextMixture:
        """Return the mapped vectors as the only candidate."""
        vectors = self.linear(self._source[0]().vectors)
        return ContextMixture(vectors, CandidateLayout((len(vectors),)))


def _contexts(
    backbone: Backbone, lengths: LayerLengths, seed: int
) -> dict[Tower, dict[int, nn.Module]]:
    """Return contexts that are drawn from a normal distribution of deviation 0.02."""
    found: dict[Tower, dict[int, nn.Module]] = {}
    for tower, own in lengths.items():
        width = backbone.widths[tower]
        found[tower] = {layer: Context(length, width) for layer, length in sorted(own.items())}
        generator = torch.Generator().manual_seed(derive_seed(seed, "init", tower))
        initialise(nn.ModuleList(found[tower].values()), InitSettings(), generator)
    return found
