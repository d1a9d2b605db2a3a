"""Context vectors of one layer: of a fixed length, or of several candidate lengths.

Any module that returns a :class:`ContextMixture` when called without arguments can stand at
a layer of :class:`dpl_nas.prompted.clip.PromptedCLIP`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpl_nas.config import InitSettings
from dpl_nas.kernels import CandidateLayout

__all__ = [
    "Context",
    "ContextCandidates",
    "ContextMixture",
    "NestedContext",
    "initialise",
    "mix",
]


@dataclass(frozen=True)
class ContextMixture:
    """What a layer attends to beside its tokens.

    Attributes
    ----------
    vectors
        ``(layout.total, width)``, those of all candidates.
    layout
        Which of them each candidate is.
    weights
        ``(candidates,)``, summing to 1; ``None`` for a single candidate.
    """

    vectors: Tensor
    layout: CandidateLayout
    weights: Tensor | None = None

    @property
    def candidates(self) -> tuple[Tensor, ...]:
        """The vectors of each candidate, ``(length, width)``."""
        return tuple(
            self.vectors[self.layout.rows(index)] for index in range(len(self.layout.lengths))
        )

    @property
    def empty(self) -> bool:
        """Whether there is no vector in it, so that the layer is a plain one."""
        return self.layout.total == 0


class Context(nn.Module):
    """``length`` context vectors, the parameter ``vectors`` ``(length, width)``.

    They start as zeros, until :func:`initialise` is called. A length of 0 has no parameter.
    """

    vectors: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.width = width
        if length:
            self.vectors = nn.Parameter(torch.zeros(length, width))
        else:
            # A buffer, so that the empty tensor follows the module to its device.
            self.register_buffer("vectors", torch.zeros(0, width), persistent=False)

    def forward(self) -> ContextMixture:
        """The vectors, as the only candidate."""
        return ContextMixture(self.vectors, CandidateLayout((self.length,)))

    def extra_repr(self) -> str:
        """Shown by ``repr``."""
        return f"length={self.length}, width={self.width}"


class NestedContext(nn.Module):
    """The first ``length`` rows of a parameter that it shares with other candidates.

    Parameters
    ----------
    vectors
        ``(longest, width)``; every candidate of a layer holds the same parameter.
    length
        How many of its rows are used, 0 to ``longest``.
    """

    def __init__(self, vectors: nn.Parameter, length: int) -> None:
        super().__init__()
        if not 0 <= length <= len(vectors):
            raise ValueError(f"expected a length of 0 to {len(vectors)}, found {length}")
        self.length = length
        self.width = vectors.shape[1]
        self.vectors = vectors

    def forward(self) -> ContextMixture:
        """The first rows, as the only candidate."""
        return ContextMixture(self.vectors[: self.length], CandidateLayout((self.length,)))

    def extra_repr(self) -> str:
        """Shown by ``repr``."""
        return f"length={self.length} of {len(self.vectors)}, width={self.width}"


class ContextCandidates(nn.Module):
    """Several contexts of one layer, weighed by ``softmax(alpha)``.

    Parameters
    ----------
    contexts
        The candidates; each returns a mixture of one.

    Attributes
    ----------
    alpha
        Parameter, ``(candidates,)``, zeros at first.
    """

    def __init__(self, contexts: Sequence[Context | NestedContext]) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(contexts)
        self.lengths = tuple(context.length for context in contexts)
        self.width = contexts[0].width
        self.alpha = nn.Parameter(torch.zeros(len(contexts)))

    @classmethod
    def separate(cls, lengths: Sequence[int], width: int) -> ContextCandidates:
        """Candidates with vectors of their own, as published."""
        return cls([Context(length, width) for length in lengths])

    @classmethod
    def nested(cls, lengths: Sequence[int], width: int) -> ContextCandidates:
        """Candidates that share the vectors of the longest one."""
        vectors = nn.Parameter(torch.zeros(max(lengths), width))
        return cls([NestedContext(vectors, length) for length in lengths])

    def forward(self) -> ContextMixture:
        """All candidates, with the weights ``softmax(alpha)``."""
        return mix(list(self.candidates), self.alpha.softmax(dim=0))


def mix(contexts: Sequence[nn.Module], weights: Tensor) -> ContextMixture:
    """Contexts of one layer as candidates with ``weights`` (candidates,).

    Those that share a parameter are taken as such, so that its vectors are held once.
    """
    nested = [context for context in contexts if isinstance(context, NestedContext)]
    if len(nested) == len(contexts) and len({id(context.vectors) for context in nested}) == 1:
        layout = CandidateLayout(tuple(context.length for context in nested), shared=True)
        return ContextMixture(nested[0].vectors[: layout.total], layout, weights)
    mixtures: list[ContextMixture] = [context() for context in contexts]
    lengths = tuple(length for mixture in mixtures for length in mixture.layout.lengths)
    vectors = torch.cat([mixture.vectors for mixture in mixtures])
    return ContextMixture(vectors, CandidateLayout(lengths), weights)


@torch.no_grad()
def initialise(module: nn.Module, settings: InitSettings, generator: torch.Generator) -> None:
    """Draw every context vector in ``module`` afresh, in the order of its parameters.

    Only parameters called ``vectors`` are touched. The draw is made where ``generator`` lives,
    so that one on the CPU gives the same vectors on every device.
    """
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] != "vectors":
            continue
        draw = torch.empty(parameter.shape, device=generator.device)
        if settings.distribution == "normal":
            draw.normal_(0.0, settings.scale, generator=generator)
        else:
            draw.uniform_(0.0, settings.scale, generator=generator)
        parameter.copy_(draw)
