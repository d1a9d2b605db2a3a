"""The search space as NNI sees it: one LayerChoice of context lengths a layer and tower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from nni.mutable.utils import label as label_parts
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import PromptInit
from dpl_nas.errors import SpaceError
from dpl_nas.nni.supermodule import DifferentiableContexts
from dpl_nas.prompted import Context, ContextMixture, NestedContext, PromptedCLIP
from dpl_nas.space import Architecture, Space
from dpl_nas.towers import Tower
from dpl_nas.training.model import initialise_contexts

__all__ = ["ContextChoice", "PromptSpace", "sample_of"]


class ContextChoice(LayerChoice):  # type: ignore[misc]
    """A LayerChoice whose candidates are contexts, called without arguments.

    Candidates are named by their length (``"0"``, ``"2"``, ...), so a sample of NNI reads
    ``{"image/0": "4"}``.
    """

    def forward(self) -> ContextMixture:
        """The mixture of the candidate that NNI's dry run chose."""
        mixture: ContextMixture = self[self._dry_run_choice]()
        return mixture


class PromptSpace(ModelSpace):  # type: ignore[misc]
    """A prompted CLIP whose context lengths are open.

    ``simplify``, ``freeze``, ``random`` and ``model_context`` of NNI work on it; one-shot
    strategies turn it into a supernet by the hooks it brings along.

    Parameters
    ----------
    space
        What can be chosen.
    backbone
        The frozen CLIP; shared, never copied.
    init, seed
        How the context vectors start.

    Raises
    ------
    SpaceError
        If the space names a layer that the backbone does not have.
    """

    def __init__(
        self, space: Space, backbone: Backbone, init: PromptInit | None = None, seed: int = 1
    ) -> None:
        super().__init__()
        contexts: dict[Tower, dict[int, nn.Module]] = {tower: {} for tower in space.towers}
        for label, tower, layer in space.labels():
            if layer >= backbone.layers[tower]:
                raise SpaceError(
                    f"space {space.name} searches {label}, but the {tower} tower of "
                    f"{backbone.name} has {backbone.layers[tower]} layers, counted from 0"
                )
            candidates = _candidates(
                space.towers[tower].lengths, backbone.widths[tower], space.shared_vectors
            )
            contexts[tower][layer] = ContextChoice(
                candidates, label=label_parts([tower, str(layer)])
            )
        self.clip = PromptedCLIP(backbone, contexts)
        initialise_contexts(self.clip, init or PromptInit(), seed)

    def forward(self, images: Tensor, text: TextInputs) -> Tensor:
        """Logits (batch, classes) of images (batch, 3, S, S)."""
        logits: Tensor = self.clip(images, text)
        return logits

    @staticmethod
    def extra_oneshot_hooks(
        strategy: Any,  # noqa: ARG004 - NNI's signature
    ) -> list[Callable[..., Any]]:
        """The fused supermodule, for differentiable strategies."""
        return [DifferentiableContexts.mutate]


def _candidates(lengths: tuple[int, ...], width: int, shared: bool) -> dict[str, nn.Module]:
    if not shared:
        return {str(length): Context(length, width) for length in lengths}
    vectors = nn.Parameter(torch.zeros(max(lengths), width))
    return {str(length): NestedContext(vectors, length) for length in lengths}


def sample_of(architecture: Architecture) -> dict[str, str]:
    """The architecture as a sample of NNI: length names by label."""
    return {f"{tower}/{layer}": str(length) for tower, layer, length in architecture.items()}
