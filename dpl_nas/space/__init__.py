"""Search spaces: backbones, towers and lengths, their limits, and their architectures."""

from __future__ import annotations

from dpl_nas.backbone_config import BackboneConfig, Precision
from dpl_nas.space.architecture import Architecture, label_of, load_architecture
from dpl_nas.space.limits import Limit
from dpl_nas.space.space import Space, TowerSpace, choices_of, load_space, space_problems
from dpl_nas.space.towers import TOWERS, Tower

__all__ = [
    "TOWERS",
    "Architecture",
    "BackboneConfig",
    "Limit",
    "Precision",
    "Space",
    "Tower",
    "TowerSpace",
    "choices_of",
    "label_of",
    "load_architecture",
    "load_space",
    "space_problems",
]
