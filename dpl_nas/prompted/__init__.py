"""A frozen CLIP whose layers are given something learned: context vectors first of all."""

from __future__ import annotations

from dpl_nas.backbone.text import TextInputs
from dpl_nas.prompted.adapted import AdaptedCLIP, ImageStates, Outputs
from dpl_nas.prompted.clip import PromptedCLIP
from dpl_nas.prompted.contexts import (
    Context,
    ContextCandidates,
    ContextMixture,
    NestedContext,
    initialise,
    mix,
)
from dpl_nas.prompted.entries import Entry, LayerTokens, LowRankUpdate
from dpl_nas.prompted.stacked import StackedCLIP, StackedStates

__all__ = [
    "AdaptedCLIP",
    "Context",
    "ContextCandidates",
    "ContextMixture",
    "Entry",
    "ImageStates",
    "LayerTokens",
    "LowRankUpdate",
    "NestedContext",
    "Outputs",
    "PromptedCLIP",
    "StackedCLIP",
    "StackedStates",
    "TextInputs",
    "initialise",
    "mix",
]
