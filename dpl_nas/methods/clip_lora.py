"""Low-rank updates of the attention of both towers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from dpl_nas.backbone import Backbone
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.io.validation import Number
from dpl_nas.kernels import KernelPath
from dpl_nas.methods.depths import LayerLengths, lengths_at
from dpl_nas.methods.layered import LayeredMethod
from dpl_nas.prompted import AdaptedCLIP, Entry, LowRankUpdate
from dpl_nas.seeds import derive_seed
from dpl_nas.space import TOWERS, Tower

__all__ = ["ClipLora", "LowRankCLIP"]

#: Layers of any tower, all of which are updated.
_ALL = 10_000


class LowRankCLIP(AdaptedCLIP):
    """A frozen CLIP with low-rank updates of the projections to queries, keys and values.

    The parameters are ``updates.TOWER.LAYER.down`` (3, rank, width) and ``.up`` (3, width, rank).

    Parameters
    ----------
    ranks
        By tower and layer.
    seed
        Seed of ``down``, drawn as a linear layer; ``up`` starts as zeros.
    alpha
        Factor of an update, times 1 / sqrt(rank).
    dropout
        As :class:`LowRankUpdate` says.
    """

    def __init__(
        self,
        backbone: Backbone,
        ranks: LayerLengths,
        seed: int,
        alpha: float,
        dropout: float,
        path: KernelPath = "fast",
    ) -> None:
        super().__init__(backbone, path)
        self._alpha, self._dropout = alpha, dropout
        self.updates = nn.ModuleDict()
        for tower in TOWERS:
            own = ranks.get(tower, {})
            if not own:
                continue
            generator = torch.Generator().manual_seed(derive_seed(seed, "updates", tower))
            width = backbone.widths[tower]
            self.updates[tower] = nn.ModuleDict(
                {str(layer): _pair(rank, width, generator) for layer, rank in sorted(own.items())}
            )

    @property
    def draws(self) -> bool:
        """Whether there is any dropout."""
        return self._dropout > 0

    def first_layer(self, tower: Tower) -> int:
        """Return the first layer with an update, or the number of layers."""
        return min(self.entries(tower), default=self.backbone.layers[tower])

    def entries(self, tower: Tower) -> Mapping[int, Entry]:
        """Return the updates by layer; there is dropout in training alone."""
        if tower not in self.updates:
            return {}
        dropout = self._dropout if self.training else 0.0
        found: dict[int, Entry] = {}
        for layer, pair in self.updates[tower].named_children():
            down, up = pair.get_parameter("down"), pair.get_parameter("up")
            scale = self._alpha / math.sqrt(down.shape[1])
            found[int(layer)] = LowRankUpdate(down, up, scale, dropout)
        return found


def _pair(rank: int, width: int, generator: torch.Generator) -> nn.ParameterDict:
    drawn = torch.empty(3, rank, width).uniform_(-(width**-0.5), width**-0.5, generator=generator)
    return nn.ParameterDict({"down": drawn, "up": torch.zeros(3, width, rank)})


class ClipLora(LayeredMethod):
    """CLIP-LoRA: updates of rank 2 at all layers of both towers.

    Attributes
    ----------
    rank
        Rank of the updates.
    alpha
        Factor of an update, times 1 / sqrt(rank), as released.
    dropout
        Share of a normed token's numbers that an update does not see in training.
    steps
        Steps of the published recipe for each shot.
    """

    title: ClassVar[str] = "CLIP-LoRA"
    paper: ClassVar[str] = "Zanella and Ben Ayed 2024 (arXiv 2405.18541)"

    lengths_are_vectors: ClassVar[bool] = False

    rank: int = Field(default=2, ge=1)
    alpha: Number = Field(default=1.0, gt=0)
    dropout: Number = Field(default=0.25, ge=0, lt=1)
    steps: int = Field(default=500, ge=1)

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return as many epochs as have ``steps`` a shot, of AdamW and batches of 32."""
        batch = 32
        optimizer = OptimizerSettings(name="adamw", lr=2e-4, weight_decay=1e-2)
        epochs = max(1, round(self.steps * shots / math.ceil(images / batch)))
        return TrainSettings(epochs=epochs, batch_size=batch, optimizer=optimizer)

    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return the ranks by tower and layer."""
        uniform: dict[Tower, tuple[int, int]] = dict.fromkeys(TOWERS, (self.rank, _ALL))
        return lengths_at(backbone, self.lengths, uniform)

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, whose updates start as zeros."""
        return LowRankCLIP(backbone, self.lengths_in(backbone), seed, self.alpha, self.dropout)
