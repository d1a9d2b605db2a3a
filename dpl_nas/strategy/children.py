"""Children of the best trials of a search: small changes of what did well."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from dpl_nas.engine import whole_trials
from dpl_nas.space import Architecture, Space, fitting
from dpl_nas.strategy.search import Search

__all__ = ["try_children"]

#: So many of the best trials are parents.
_PARENTS = 4
#: Children of one round, which are trained side by side. The next round has better parents.
_ROUND = 8
_MUTATED_LAYERS = 2


def try_children(search: Search, count: int) -> None:
    """Train and validate up to ``count`` children of the best trials, as far as the budget goes.

    A child is a parent of which two layers are drawn anew, or has at each layer the length of one
    of two parents. None was tried before.
    """
    tried = 0
    while tried < count and search.affords():
        best = sorted(whole_trials(search.engine.evaluations), key=search.reward, reverse=True)
        parents = [each.architecture for each in best[:_PARENTS]]
        if not parents:
            return
        rng = search.rng(f"children/{tried}")
        known = {each.architecture for each in search.engine.evaluations}
        children = fitting.distinct(
            lambda: _child(search.space, parents, rng),  # noqa: B023 - called at once
            min(_ROUND, count - tried),
            tries=100 * _ROUND,
            known=known,
        )
        if not children:
            return
        search.evaluate(children)
        tried += len(children)


def _child(space: Space, parents: Sequence[Architecture], rng: Random) -> Architecture:
    crosses = len(parents) > 1 and rng.random() < 0.5
    return fitting.offspring(
        space,
        lambda: rng.choice(parents),
        rng,
        crosses=crosses,
        mutated_layers=0 if crosses else _MUTATED_LAYERS,
    )
