"""The part that models of one tower share: they have learned no factor on logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dpl_nas.errors import BackboneError

__all__ = ["OneTower"]


class OneTower:
    """A model of one tower.

    Parameters
    ----------
    model
        The model.
    name
        Name of the model, for messages.
    objection
        Why it cannot carry context vectors; ``None`` if it can.
    scale
        Factor on what class features are compared by.

    Raises
    ------
    BackboneError
        If there is an objection.
    """

    def __init__(self, model: nn.Module, name: str, objection: str | None, scale: float) -> None:
        if objection:
            raise BackboneError(f"{name} cannot carry context vectors: {objection}")
        self._scaled = _Scaled(model, scale)
        self.module: nn.Module = self._scaled

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor."""
        return self._scaled.logit_scale

    @property
    def logit_bias(self) -> None:
        """There is none."""
        return


class _Scaled(nn.Module):
    """A model, and the logarithm of a factor."""

    logit_scale: Tensor

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model = model
        like = next(model.parameters())
        wide = torch.promote_types(like.dtype, torch.float32)
        logarithm = torch.tensor(math.log(scale), dtype=wide, device=like.device)
        self.register_buffer("logit_scale", logarithm)
