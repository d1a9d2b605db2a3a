"""Methods that have a length, or a rank, at each layer."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from dpl_nas.backbone import Backbone
from dpl_nas.methods.depths import LayerLengths, Lengths
from dpl_nas.methods.towers import TowerMethod
from dpl_nas.space import TOWERS, Tower

__all__ = ["LayeredMethod"]


class LayeredMethod(TowerMethod):
    """A method whose lengths by layer can be given, or searched.

    Attributes
    ----------
    lengths
        Lengths, or ranks, by tower and layer, instead of the paper's.
    """

    #: Towers that have lengths.
    towers: ClassVar[tuple[Tower, ...]] = TOWERS
    #: Whether lengths count vectors that a layer attends to: then a supernet of context vectors
    #: can choose among them.
    lengths_are_vectors: ClassVar[bool] = True

    #: Whether there may be lengths at all layers of these towers.
    searched: ClassVar[bool] = True

    lengths: Lengths | None = None

    @abstractmethod
    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return the lengths over 0 by tower and layer; a coupled tower is left out.

        Raises
        ------
        ConfigError
            If the backbone lacks a layer.
        """
