"""A frozen CLIP whose layers attend to learnable context vectors."""

from __future__ import annotations

from dpl_nas.prompted.clip import ImageStates, Outputs, PromptedCLIP, TextInputs
from dpl_nas.prompted.contexts import (
    Context,
    ContextCandidates,
    ContextMixture,
    NestedContext,
    initialise,
    mix,
)
from dpl_nas.prompted.stacked import StackedCLIP, StackedStates

__all__ = [
    "Context",
    "ContextCandidates",
    "ContextMixture",
    "ImageStates",
    "NestedContext",
    "Outputs",
    "PromptedCLIP",
    "StackedCLIP",
    "StackedStates",
    "TextInputs",
    "initialise",
    "mix",
]
