"""Frozen CLIPs: the supported models, the sources of their weights, and their interface."""

from __future__ import annotations

from dpl_nas.backbone.frozen import Backbone
from dpl_nas.backbone.layers import check_layers, missing_layers
from dpl_nas.backbone.loading import load_backbone
from dpl_nas.backbone.supported import list_models, model_facts, tower_depths
from dpl_nas.backbone.text import TextInputs

__all__ = [
    "Backbone",
    "TextInputs",
    "check_layers",
    "list_models",
    "load_backbone",
    "missing_layers",
    "model_facts",
    "tower_depths",
]
