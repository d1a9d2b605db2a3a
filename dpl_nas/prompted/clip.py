"""A frozen CLIP with context vectors at chosen layers of both towers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone.frozen import Backbone
from dpl_nas.backbone.text import TextInputs
from dpl_nas.errors import ArchitectureError
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted.tower import run_blocks
from dpl_nas.towers import TOWERS, Tower

__all__ = ["PromptedCLIP", "TextInputs"]


class PromptedCLIP(nn.Module):
    """A frozen CLIP with context vectors at chosen layers of both towers.

    The parameters and the state dict are those of the contexts alone, under names such as
    ``contexts.image.3.vectors``. The backbone stays outside the module tree, is shared by all
    models that are built on it (also by deep copies), and follows any of them to its device.

    Parameters
    ----------
    backbone
        The frozen CLIP.
    contexts
        For each tower and layer (counted from 0) with contexts: a module that returns a
        :class:`~dpl_nas.prompted.contexts.ContextMixture` when called without arguments.
        Other layers are plain.
    path
        How attention is computed.

    Raises
    ------
    ArchitectureError
        If a tower is unknown, a layer is not one of the backbone's, or a context has another
        width than its tower.
    """

    def __init__(
        self,
        backbone: Backbone,
        contexts: Mapping[Tower, Mapping[int, nn.Module]],
        path: KernelPath = "reference",
    ) -> None:
        super().__init__()
        _check(backbone, contexts)
        self.backbone = backbone
        self.path: KernelPath = path
        self.contexts = nn.ModuleDict(
            {
                tower: nn.ModuleDict(
                    {str(layer): contexts[tower][layer] for layer in sorted(contexts[tower])}
                )
                for tower in TOWERS
                if tower in contexts
            }
        )

    def encode_image(self, images: Tensor) -> Tensor:
        """Image features before normalisation.

        Parameters
        ----------
        images
            ``(batch, 3, size, size)``, preprocessed.

        Returns
        -------
        Tensor
            ``(batch, embed)``.
        """
        visual: Any = self.backbone.model.visual
        x = visual.conv1(images.to(visual.conv1.weight.dtype))  # [b, w, grid, grid]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = visual.ln_pre(x + visual.positional_embedding)
        x = run_blocks(visual.transformer.resblocks, x, self._layers("image"), None, self.path)
        # LN acts on each token alone, so only what is pooled afterwards needs it.
        if visual.pool_type == "tok":
            x = visual.ln_post(x[:, 0])
        elif visual.final_ln_after_pool:
            x = visual.ln_post(x[:, 1:].mean(dim=1))
        else:
            x = visual.ln_post(x[:, 1:]).mean(dim=1)
        features: Tensor = x if visual.proj is None else x @ visual.proj
        return features

    def encode_text(self, text: TextInputs) -> Tensor:
        """Text features before normalisation.

        Parameters
        ----------
        text
            Of ``classes`` captions, from :meth:`Backbone.text_inputs` or
            :meth:`Backbone.mean_text_inputs`.

        Returns
        -------
        Tensor
            ``(classes, embed)``.
        """
        tower: Any = self.backbone.text_tower
        x = text.embeddings
        tokens = x.shape[1]
        mask = torch.full((tokens, tokens), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
        x = run_blocks(tower.transformer.resblocks, x, self._layers("text"), mask, self.path)
        hidden = tower.ln_final(x)
        pooled = torch.einsum("nt,ntw->nw", text.pooling, hidden.to(text.pooling.dtype))
        pooled = pooled.to(hidden.dtype)
        projection = tower.text_projection
        if projection is None:
            return pooled
        features: Tensor = (
            projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
        )
        return features

    def logits(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """``exp(logit_scale) * cos``, at least in float32.

        Parameters
        ----------
        image_features, text_features
            ``(batch, embed)`` and ``(classes, embed)``, before normalisation.

        Returns
        -------
        Tensor
            ``(batch, classes)``.
        """
        wide = torch.promote_types(image_features.dtype, torch.float32)
        image = functional.normalize(image_features.to(wide), dim=-1)
        text = functional.normalize(text_features.to(wide), dim=-1)
        scale: Tensor = self.backbone.model.logit_scale.exp()
        return scale * image @ text.T

    def forward(self, images: Tensor, text: TextInputs) -> Tensor:
        """Logits ``(batch, classes)`` of ``images`` against the captions of ``text``."""
        return self.logits(self.encode_image(images), self.encode_text(text))

    def _layers(self, tower: Tower) -> dict[int, nn.Module]:
        if tower not in self.contexts:
            return {}
        modules: Any = self.contexts[tower]
        return {int(layer): module for layer, module in modules.items()}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PromptedCLIP:
        # The hook under .to(), .cuda() and the like, also when a parent module is moved. Only
        # the device is followed: the backbone has its own precision.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.backbone.to(fn(torch.empty(0, device=self.backbone.device)).device)
        return self


def _check(backbone: Backbone, contexts: Mapping[Tower, Mapping[int, nn.Module]]) -> None:
    for tower, modules in contexts.items():
        if tower not in TOWERS:
            raise ArchitectureError(f"expected the towers image and text, found {tower}")
        layers, width = backbone.layers[tower], backbone.widths[tower]
        for layer, module in modules.items():
            if not 0 <= layer < layers:
                raise ArchitectureError(
                    f"{backbone.name} has the {tower} layers 0 to {layers - 1}, found {layer}"
                )
            found = getattr(module, "width", width)
            if found != width:
                raise ArchitectureError(
                    f"{tower}/{layer} of {backbone.name} needs context vectors of width {width}, "
                    f"found {found}"
                )
