"""Architectures that fit, counted, listed and drawn uniformly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from random import Random

from dpl_nas.errors import ArchitectureError
from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.combinations import Combinations, architecture_of
from dpl_nas.space.space import Space

__all__ = ["count", "distinct", "distinct_sample", "enumerate_all", "nth", "sample"]

#: In spaces up to this size, distinct draws are a part of a shuffled list of all.
_LISTED = 4096


def count(space: Space) -> int:
    """Return the number of architectures within the limits of ``space``: exact, and never 0."""
    return Combinations(space).size


def nth(space: Space, index: int) -> Architecture:
    """Return the architecture with ``index`` in the order of :func:`enumerate_all`.

    Raises
    ------
    IndexError
        If ``index`` is not in ``range(count(space))``.
    """
    combinations = Combinations(space)
    if not 0 <= index < combinations.size:
        raise IndexError(
            f"expected an index from 0 to {combinations.size - 1} in space {space.name}, found "
            f"{index}"
        )
    return architecture_of(space, combinations.at(index))


def enumerate_all(space: Space) -> Iterator[Architecture]:
    """Yield every architecture that fits, lazily.

    The order is lexicographic by the lengths in the order of :meth:`Space.labels`: it starts with
    the shortest lengths everywhere, and the last layer of the last tower changes fastest.
    """
    combinations = Combinations(space)
    for index in range(combinations.size):
        yield architecture_of(space, combinations.at(index))


def sample(space: Space, rng: Random, fixed: Mapping[str, int] | None = None) -> Architecture:
    """Draw an architecture that fits, each with the same probability.

    Parameters
    ----------
    rng
        Random generator; one number is drawn.
    fixed
        Required lengths by label, such as ``{"image/0": 4}``; the draw is uniform over the
        architectures that have them.

    Raises
    ------
    ArchitectureError
        If no architecture that fits has the lengths ``fixed``.
    """
    kept = fixed or {}
    lengths = [
        tuple(c for c in space.towers[tower].lengths if c == kept.get(label, c))
        for label, tower, _ in space.labels()
    ]
    if not all(lengths) or not (combinations := Combinations(space, lengths)).size:
        raise ArchitectureError(
            f"no architecture that fits space {space.name} has "
            f"{', '.join(f'length {length} at {label}' for label, length in kept.items())}: fix "
            "fewer or other lengths"
        )
    return architecture_of(space, combinations.at(rng.randrange(combinations.size)))


def distinct(
    draw: Callable[[], Architecture],
    count: int,
    *,
    tries: int,
    known: Collection[Architecture] = (),
) -> list[Architecture]:
    """Draw up to ``count`` distinct architectures not in ``known``, in at most ``tries`` draws."""
    found: dict[Architecture, None] = {}
    for _ in range(tries):
        if len(found) >= count:
            break
        drawn = draw()
        if drawn not in known:
            found.setdefault(drawn)
    return list(found)


def distinct_sample(space: Space, rng: Random, number: int) -> list[Architecture]:
    """Draw distinct architectures that fit, uniformly; return all if the space has no more.

    A larger ``number`` starts with the same architectures as a smaller one.
    """
    size = count(space)
    if size <= _LISTED:
        order = rng.sample(range(size), size)
        return [nth(space, index) for index in order[:number]]
    found: list[Architecture] = []
    while len(found) < min(number, size):
        found += distinct(lambda: sample(space, rng), 1, tries=1, known=found)
    return found
