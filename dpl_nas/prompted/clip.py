"""A frozen CLIP with context vectors at chosen layers of both towers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dpl_nas.backbone.frozen import Backbone
from dpl_nas.backbone.layers import check_layers
from dpl_nas.backbone.text import TextInputs
from dpl_nas.errors import ArchitectureError
from dpl_nas.io.reprs import in_a_line
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.adapted import AdaptedCLIP
from dpl_nas.prompted.contexts import ContextMixture
from dpl_nas.space import TOWERS, Tower

__all__ = ["PromptedCLIP"]


class PromptedCLIP(AdaptedCLIP):
    """A frozen CLIP with context vectors at chosen layers of both towers.

    The parameters and the state dict are those of the contexts alone, under names such as
    ``contexts.image.3.vectors``. The backbone stays outside the module tree, is shared by all
    models that are built on it (also by deep copies), and follows any of them to its device.

    Its ``repr`` is a line; ``named_modules()`` and ``named_parameters()`` list what it is made of.

    Parameters
    ----------
    backbone
        The frozen CLIP.
    contexts
        Modules by tower and layer (counted from 0) with contexts; each returns a
        :class:`~dpl_nas.prompted.contexts.ContextMixture` when called without arguments.
        Other layers are plain.
    path
        Implementation of attention. ``reference`` also runs both towers as published: all tokens
        of every class and image, through every layer.
    offsets
        What is added to class features, ``(classes, embed)``, if they are learned: starting from
        those of captions it is TaskRes (Yu et al. 2023), from class means a linear classifier.

    Raises
    ------
    ArchitectureError
        If a tower is unknown, the backbone lacks a layer, or a context has another width than
        its tower.
    """

    def __init__(
        self,
        backbone: Backbone,
        contexts: Mapping[Tower, Mapping[int, nn.Module]],
        path: KernelPath = "fast",
        offsets: nn.Parameter | None = None,
    ) -> None:
        super().__init__(backbone, path)
        self.offsets = offsets
        _check(backbone, contexts)
        self.contexts = nn.ModuleDict(
            {
                tower: nn.ModuleDict(
                    {str(layer): contexts[tower][layer] for layer in sorted(contexts[tower])}
                )
                for tower in TOWERS
                if tower in contexts
            }
        )

    def encode_text(self, text: TextInputs) -> Tensor:
        """Return class features ``(classes, embed)`` before normalisation, offsets included."""
        features = super().encode_text(text)
        return features if self.offsets is None else features + self.offsets

    def first_layer(self, tower: Tower) -> int:
        """Return the first layer with contexts, or the number of layers if there is none."""
        return min(self._modules_of(tower), default=self.backbone.layers[tower])

    def entries(self, tower: Tower) -> Mapping[int, ContextMixture]:
        """Return the contexts that have any vectors."""
        mixtures = {layer: module() for layer, module in self._modules_of(tower).items()}
        return {layer: mixture for layer, mixture in mixtures.items() if not mixture.empty}

    def __repr__(self) -> str:
        layers = ", ".join(
            f"{tower}: contexts at {len(list(part.children()))} layers"
            for tower, part in self.contexts.items()
        )
        return in_a_line(f"{type(self).__name__}({self.backbone.name}, {layers or 'no contexts'})")

    def _modules_of(self, tower: Tower) -> dict[int, nn.Module]:
        if tower not in self.contexts:
            return {}
        modules: Any = self.contexts[tower]
        return {int(layer): module for layer, module in modules.items()}


def _check(backbone: Backbone, contexts: Mapping[Tower, Mapping[int, nn.Module]]) -> None:
    for tower, modules in contexts.items():
        if tower not in TOWERS:
            raise ArchitectureError(f"expected the towers image and text, found {tower}")
        check_layers(backbone, tower, modules, asks="there are context vectors at")
        width = backbone.widths[tower]
        for layer, module in modules.items():
            found = getattr(module, "width", width)
            if found != width:
                raise ArchitectureError(
                    f"{tower}/{layer} of {backbone.name} needs context vectors of width {width}, "
                    f"found {found}"
                )
