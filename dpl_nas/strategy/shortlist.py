"""The shortlist of a differentiable search: architectures to train beside its choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dpl_nas.space import Architecture
from dpl_nas.space.fitting import count, distinct, project, weighted_draws
from dpl_nas.strategy.logits import log_softmax, softmax
from dpl_nas.strategy.search import Search

__all__ = ["draw_shortlist", "spread"]


def draw_shortlist(
    search: Search, choice: Architecture, alphas: Mapping[str, Sequence[float]], size: int
) -> list[Architecture]:
    """The choice, then others: for the front within smaller limits, else by probability.

    Parameters
    ----------
    choice
        What the supernet says is best; the first of the list.
    alphas
        Logits of the lengths by label. Architectures are drawn by their softmax; if that is
        decided, at a higher temperature.
    size
        Number of architectures; fewer if the space has no more.
    """
    scores = {label: log_softmax(logits) for label, logits in alphas.items()}
    found = {choice: None}
    if search.objective == "pareto":
        for vectors in spread(choice.vectors, size):
            smaller = search.space.model_copy(update={"max_context_vectors": vectors})
            found.setdefault(project(smaller, scores))
    rng = search.rng("shortlist")
    wanted = min(size, count(search.space))
    temperature = 1.0
    while len(found) < wanted:
        weights = {
            label: softmax([logit / temperature for logit in logits])
            for label, logits in alphas.items()
        }
        draw = weighted_draws(search.space, weights)
        others = distinct(
            lambda: draw(rng),  # noqa: B023 - called at once
            wanted - len(found),
            tries=2 * wanted,
            known=found,
        )
        found |= dict.fromkeys(others)
        # If the alphas are decided, hardly anything else is drawn.
        if not others:
            temperature *= 1.5
    return list(found)[:size]


def spread(most: int, count: int) -> list[int]:
    """Up to ``count`` numbers of vectors below ``most``, falling by an equal ratio."""
    found: list[int] = []
    for step in range(1, count):
        vectors = round(most ** (1 - step / count)) if most > 1 else 0
        if vectors < (found[-1] if found else most):
            found.append(vectors)
    return found
