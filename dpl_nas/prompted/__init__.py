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

__all__ = [
    "Context",
    "ContextCandidates",
    "ContextMixture",
    "ImageStates",
    "NestedContext",
    "Outputs",
    "PromptedCLIP",
    "TextInputs",
    "initialise",
    "mix",
]
