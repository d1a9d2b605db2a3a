"""Context vectors of one layer, with a fixed length or several candidate lengths.

Any module that returns a :class:`ContextMixture` when called without arguments can be used at
a layer of :class:`dpl_nas.prompted.clip.PromptedCLIP`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpl_nas.config import InitSettings
from dpl_nas.io.reprs import in_a_line, short_repr
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
    """The context vectors that a layer attends to besides its tokens.

    Attributes
    ----------
    vectors
        Vectors of all candidates, ``(layout.total, width)``.
    layout
        Assignment of the vectors to candidates.
    weights
        ``(candidates,)``, summing to 1; ``None`` for a single candidate.
    """

    vectors: Tensor
    layout: CandidateLayout
    weights: Tensor | None = None

    __repr__ = short_repr

    @property
    def candidates(self) -> tuple[Tensor, ...]:
        """Return the vectors of each candidate, ``(length, width)``."""
        return tuple(
            self.vectors[self.layout.rows(index)] for index in range(len(self.layout.lengths))
        )

    @property
    def empty(self) -> bool:
        """Whether it has no vectors, so that the layer is plain."""
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
        """Return the vectors as the only candidate."""
        return ContextMixture(self.vectors, CandidateLayout((self.length,)))

    def extra_repr(self) -> str:
        """Return the text that ``repr`` shows."""
        return f"length={self.length}, width={self.width}"


class NestedContext(nn.Module):
    """The first ``length`` rows of a parameter that it shares with other candidates.

    Parameters
    ----------
    vectors
        Parameter ``(longest, width)``, the same one in all candidates of a layer.
    length
        Number of its rows that are used, 0 to ``longest``.
    """

    def __init__(self, vectors: nn.Parameter, length: int) -> None:
        super().__init__()
        if not 0 <= length <= len(vectors):
            raise ValueError(f"expected a length of 0 to {len(vectors)}, found {length}")
        self.length = length
        self.width = vectors.shape[1]
        self.vectors = vectors

    def forward(self) -> ContextMixture:
        """Return the first rows as the only candidate."""
        return ContextMixture(self.vectors[: self.length], CandidateLayout((self.length,)))

    def extra_repr(self) -> str:
        """Return the text that ``repr`` shows."""
        return f"length={self.length} of {len(self.vectors)}, width={self.width}"


class ContextCandidates(nn.Module):
    """Several contexts of one layer, weighted by ``softmax(alpha)``.

    Parameters
    ----------
    contexts
        The candidates; each returns a mixture with one candidate.

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
        """Make candidates with separate vectors, as published."""
        return cls([Context(length, width) for length in lengths])

    @classmethod
    def nested(cls, lengths: Sequence[int], width: int) -> ContextCandidates:
        """Make candidates that share the vectors of the longest one."""
        vectors = nn.Parameter(torch.zeros(max(lengths), width))
        return cls([NestedContext(vectors, length) for length in lengths])

    def forward(self) -> ContextMixture:
        """Return all candidates with the weights ``softmax(alpha)``."""
        return mix(list(self.candidates), self.alpha.softmax(dim=0))

    def __repr__(self) -> str:
        return in_a_line(f"ContextCandidates(lengths={self.lengths}, width={self.width})")


def mix(contexts: Sequence[nn.Module], weights: Tensor) -> ContextMixture:
    """Combine contexts of one layer as candidates with ``weights`` (candidates,).

    Contexts that share a parameter share their vectors in the result, too.
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
    """Redraw every context vector in ``module``, in the order of its parameters.

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
