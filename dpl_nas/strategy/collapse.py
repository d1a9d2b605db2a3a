"""Whether the alphas of a search say more than nothing: three ways in which they collapse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized

import torch
from pydantic import Field
from torch import Tensor

from dpl_nas.io.validation import Frozen
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Space
from dpl_nas.strategy.logits import normalised_entropy

__all__ = ["Collapse", "diagnose", "initial_alphas"]

#: A diagnosis is told from here on.
_UNDECIDED = 0.95
_BY_LENGTH = 0.9
_BY_START = 0.5


class Collapse(Frozen):
    """What the alphas of a search depend on, as shares in 0..1.

    Attributes
    ----------
    entropy
        Mean entropy of softmax(alpha) over log(candidates): 1 is undecided.
    length_alone
        Share of the variance of the alphas that the mean over a tower's layers explains: with 1,
        they prefer a length, the same at each layer, and say nothing on where.
    start
        Squared correlation of the alphas with those that were drawn at first.
    """

    entropy: float = Field(ge=0, le=1)
    length_alone: float = Field(ge=0, le=1)
    start: float = Field(ge=0, le=1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each way in which the alphas have collapsed."""
        found = []
        if self.entropy >= _UNDECIDED:
            found.append(
                f"the alphas are undecided (entropy {self.entropy:.0%} of that of equal alphas): "
                "what they prefer is hardly more than chance; give more search.epochs, or a larger "
                "search.alphas.lr"
            )
        if self.length_alone >= _BY_LENGTH:
            found.append(
                f"the alphas prefer lengths, not layers ({self.length_alone:.0%} of what they say "
                "is the same at every layer of a tower): a manual design says as much"
            )
        if self.start >= _BY_START:
            found.append(
                f"the alphas are still tied to how they were drawn at first ({self.start:.0%} of "
                "their variance): another seed would find others; give more search.epochs, or a "
                "smaller search.alphas.init_sd"
            )
        return tuple(found)


def initial_alphas(alphas: Mapping[str, Sized], seed: int, sd: float) -> dict[str, Tensor]:
    """Return the alphas that a search of this seed begins with, ``sd`` * randn, by label.

    Parameters
    ----------
    alphas
        Alphas of the same search at any time, by label, for their numbers.
    """
    found = {}
    for label, each in alphas.items():
        generator = torch.Generator().manual_seed(derive_seed(seed, "alpha", label))
        found[label] = sd * torch.randn(len(each), generator=generator)
    return found


def diagnose(
    space: Space, alphas: Mapping[str, Sequence[float]], start: Mapping[str, Tensor]
) -> Collapse:
    """Say what the alphas of a search depend on.

    Parameters
    ----------
    alphas, start
        Final logits and first logits of the lengths, by label.
    """
    entropy = [normalised_entropy(each) for each in alphas.values()]
    total = explained = 0.0
    for tower in space.towers:
        rows = [_centred(alphas[label]) for label, of, _ in space.labels() if of == tower]
        values = torch.stack(rows)
        total += float(values.square().sum())
        explained += float(values.mean(dim=0).square().sum()) * len(rows)
    first = torch.cat([_centred(start[label]) for label in alphas])
    last = torch.cat([_centred(each) for each in alphas.values()])
    norms = float(first.square().sum() * last.square().sum())
    return Collapse(
        entropy=min(1.0, sum(entropy) / len(entropy)),
        length_alone=min(1.0, explained / total) if total else 0.0,
        start=min(1.0, float(first @ last) ** 2 / norms) if norms else 0.0,
    )


def _centred(logits: Sequence[float] | Tensor) -> Tensor:
    """Logits without what a softmax does not see: their mean."""
    values = torch.as_tensor(logits, dtype=torch.float64)
    return values - values.mean()
