"""Children of the best trials of a search: changes of what did well."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from dpl_nas.engine import whole_trials
from dpl_nas.space import Architecture, Space, fitting
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.surrogate import Surrogate

__all__ = ["try_children"]

#: So many of the best trials are parents.
_PARENTS = 4
#: Children of one round, which are trained side by side. The next round has better parents.
_ROUND = 8
#: So many children are made for each that is tried.
_MADE = 50
_MUTATED_LAYERS = 2


def try_children(search: Search, count: int, *, guided: bool) -> None:
    """Train and validate up to ``count`` children of the best trials, as far as the budget goes.

    A child is a parent of which two layers are drawn anew, or of which a run of layers has one
    length, or it has at each layer the length of one of two parents. None was tried before.

    Parameters
    ----------
    guided
        Whether many children are made, and those are tried of which the trials so far promise most
        (:class:`~dpl_nas.strategy.surrogate.Surrogate`); else by chance.
    """
    tried = 0
    while tried < count and search.affords():
        trials = whole_trials(search.engine.evaluations)
        best = sorted(trials, key=search.reward, reverse=True)
        parents = [each.architecture for each in best[:_PARENTS]]
        if not parents:
            return
        rng = search.rng(f"children/{tried}")
        known = {each.architecture for each in search.engine.evaluations}
        wanted = min(_ROUND, count - tried)
        # For the front, the reward of each trial is another.
        guides = guided and search.objective == "accuracy" and len(trials) > 2
        children = fitting.distinct(
            lambda: _child(search.space, parents, rng),  # noqa: B023 - called at once
            wanted * (_MADE if guides else 1),
            tries=2 * _MADE * _ROUND,
            known=known,
        )
        if guides and len(children) > wanted:
            architectures = [each.architecture for each in trials]
            surrogate = Surrogate.fit(architectures, [search.reward(each) for each in trials])
            children = surrogate.batch(children, wanted)
        if not children:
            return
        search.evaluate(children)
        tried += len(children)


def _child(space: Space, parents: Sequence[Architecture], rng: Random) -> Architecture:
    kind = rng.randrange(4)
    if kind == 0:
        return fitting.fill_run(space, rng.choice(parents), rng)
    crosses = len(parents) > 1 and kind > 1
    return fitting.offspring(
        space,
        lambda: rng.choice(parents),
        rng,
        crosses=crosses,
        mutated_layers=0 if crosses else _MUTATED_LAYERS,
    )
