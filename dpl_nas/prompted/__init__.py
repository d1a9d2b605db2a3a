"""A frozen CLIP whose layers attend to learnable context vectors."""

from __future__ import annotations

from dpl_nas.prompted.clip import PromptedCLIP, TextInputs
from dpl_nas.prompted.contexts import (
    Context,
    ContextCandidates,
    ContextMixture,
    NestedContext,
    initialise,
)

__all__ = [
    "Context",
    "ContextCandidates",
    "ContextMixture",
    "NestedContext",
    "PromptedCLIP",
    "TextInputs",
    "initialise",
]
