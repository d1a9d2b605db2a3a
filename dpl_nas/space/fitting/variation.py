"""Mutation and crossover of architectures that fit."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.combinations import Combinations, architecture_of, lengths_of
from dpl_nas.space.space import Space

__all__ = ["crossover", "fill_run", "mutate", "offspring"]


def mutate(space: Space, architecture: Architecture, rng: Random, layers: int = 2) -> Architecture:
    """Return another architecture that fits and differs in a few layers.

    Layers are opened in random order: first ``layers`` of them, and then more, one by one, as
    long as the lengths of all others leave no alternative. The open ones are drawn anew,
    uniformly over all that fits except the old lengths. Two layers let a vector move from one to
    the other; when a limit is used up, one layer could only become shorter. Every architecture
    that fits can be reached by repetition.

    Parameters
    ----------
    architecture
        Architecture that fits.
    layers
        Number of layers opened at first, at least 1; usually at most so many change.

    Returns
    -------
    Architecture
        ``architecture`` itself only where it is the only one that fits.

    Raises
    ------
    ArchitectureError
        If ``architecture`` does not belong to ``space`` or exceeds its limits.
    ValueError
        If ``layers`` is less than 1.
    """
    if layers < 1:
        raise ValueError(f"expected layers to be at least 1, found {layers}")
    space.check(architecture)
    old = lengths_of(space, architecture)
    offered = [space.towers[tower].lengths for _, tower, _ in space.labels()]
    order = list(range(len(old)))
    rng.shuffle(order)
    for opened in range(min(layers, len(old)), len(old) + 1):
        open_layers = set(order[:opened])
        combinations = Combinations(
            space, [offered[i] if i in open_layers else (old[i],) for i in range(len(old))]
        )
        if combinations.size > 1:
            # The old lengths are left out by stepping over their index.
            index = rng.randrange(combinations.size - 1)
            index += index >= combinations.index(old)
            return architecture_of(space, combinations.at(index))
    return architecture


def crossover(space: Space, a: Architecture, b: Architecture, rng: Random) -> Architecture:
    """Return a child that fits and takes each layer's length from ``a`` or ``b``.

    The draw is uniform over all such children, parents included: uniform crossover (Syswerda
    1989) given that the child fits.

    Raises
    ------
    ArchitectureError
        If a parent does not belong to ``space`` or exceeds its limits.
    """
    space.check(a)
    space.check(b)
    lengths = [
        sorted(set(pair)) for pair in zip(lengths_of(space, a), lengths_of(space, b), strict=True)
    ]
    combinations = Combinations(space, lengths)
    return architecture_of(space, combinations.at(rng.randrange(combinations.size)))


def fill_run(space: Space, architecture: Architecture, rng: Random) -> Architecture:
    """Return an architecture that fits, where a run of layers of one tower has one length.

    The tower, the ends of the run and the length are drawn uniformly. The other layers keep their
    lengths if they can; else each keeps its own or the shortest, drawn uniformly over all that
    fits. Where not even this fits, another run is drawn. So whole towers and stages can be emptied
    or filled at once, which takes :func:`mutate` many steps.

    Raises
    ------
    ArchitectureError
        If ``architecture`` does not belong to ``space`` or exceeds its limits.
    """
    space.check(architecture)
    old = lengths_of(space, architecture)
    labels = list(space.labels())
    while True:
        tower = rng.choice(list(space.towers))
        places = [at for at, (_, of, _) in enumerate(labels) if of == tower]
        first, last = sorted(rng.choices(range(len(places)), k=2))
        length = rng.choice(space.towers[tower].lengths)
        run = set(places[first : last + 1])
        kept = [(length,) if at in run else (old[at],) for at in range(len(old))]
        either = [
            (length,) if at in run else tuple(sorted({space.towers[of].lengths[0], old[at]}))
            for at, (_, of, _) in enumerate(labels)
        ]
        for offered in (kept, either):
            if size := (combinations := Combinations(space, offered)).size:
                return architecture_of(space, combinations.at(rng.randrange(size)))


def offspring(
    space: Space,
    select: Callable[[], Architecture],
    rng: Random,
    *,
    crosses: bool,
    mutated_layers: int,
) -> Architecture:
    """Return a child of one or two parents, some of whose layers are drawn anew.

    Parameters
    ----------
    select
        Function that chooses a parent, such as the best of a sample of the population.
    crosses
        Whether the child has two parents (:func:`crossover`).
    mutated_layers
        Number of layers that :func:`mutate` opens; 0 for none.
    """
    child = select()
    if crosses:
        child = crossover(space, child, select(), rng)
    return mutate(space, child, rng, mutated_layers) if mutated_layers else child
