"""Why the found lengths are not those that the alphas prefer, for the pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dpl_nas.space import Space
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.result import SearchResult

__all__ = ["likeliest", "why_chosen"]


def likeliest(
    alphas: Mapping[str, Sequence[float]],
    lengths: Mapping[str, Sequence[int]],
    chosen: Mapping[str, int],
) -> dict[str, int]:
    """Return the most likely length of each layer by itself; of equal ones, that which is chosen.

    Parameters
    ----------
    alphas
        Logits by label, in the order of the lengths.
    lengths
        Lengths on offer by tower.
    chosen
        Chosen lengths by label.
    """
    found = {}
    for label, logits in alphas.items():
        offered = lengths[label.partition("/")[0]]
        best = [length for length, each in zip(offered, logits, strict=True) if each == max(logits)]
        found[label] = chosen[label] if chosen[label] in best else best[0]
    return found


def why_chosen(space: Space, result: SearchResult) -> str:
    """Return sentences on why the found lengths are not the most likely ones; empty if they are.

    They are chosen by trials, or the most likely lengths of all layers together do not fit the
    space.
    """
    if not result.records:
        return ""
    chosen = result.architecture.by_label()
    offered: dict[str, Sequence[int]] = {
        tower: part.lengths for tower, part in space.towers.items()
    }
    likely = likeliest(result.alphas, offered, chosen)
    other = sum(likely[label] != length for label, length in chosen.items())
    if not other:
        return ""
    told = f"At {other} of {len(chosen)} layers the alphas prefer another length."
    choice = result.records[-1].choice
    limits = " and ".join(f"{limit.most:,} {limit.unit}" for limit in space.limits)
    if chosen == choice:
        within = f" The found lengths are the likeliest within {limits}." if limits else ""
        return f"{told}{within}"
    if limits:
        # As the notes of a result count them.
        apart = sum(choice[label] != length for label, length in chosen.items())
        told = f"{told[:-1]}, and at {apart} they choose another within {limits}."
    return f"{told} {_by_trials(space, result)}"


def _by_trials(space: Space, result: SearchResult) -> str:
    """Which trial won, and what the choice of the alphas validated at."""
    designs = {design: name for name, design in portfolio(space).items()}
    accuracies = {each.architecture: each.accuracy for each in reversed(result.deciding)}
    own = space.architecture(result.records[-1].choice)
    winner = next((e for e in result.deciding if e.architecture == result.architecture), None)
    if winner is None:
        return "Chosen otherwise."
    name = designs.get(result.architecture)
    who = f"the manual design {name}" if name else f"trial {winner.number}"
    numbers = f"{winner.accuracy:.1%}"
    if (accuracy := accuracies.get(own)) is not None:
        numbers += f"; the choice of the alphas {accuracy:.1%}"
    where = " on both halves of the shots" if result.finals else ""
    if winner is not result.deciding[0]:
        return (
            f"Chosen by trials: none of {len(result.deciding)}{where} is clearly better than "
            f"{who} (accuracy {numbers})."
        )
    return (
        f"Chosen by trials: {who} has the best validation score of {len(result.deciding)}{where} "
        f"(accuracy {numbers})."
    )
