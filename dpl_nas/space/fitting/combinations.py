"""The combinations of one length per layer that fit, counted by dynamic programming.

Every cost is a sum over layers. So dynamic programming over the layers and the rest of each
limit replaces both enumeration and rejection. A space without a limit works the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.space import Space

__all__ = ["Combinations", "Room", "architecture_of", "lengths_of"]


#: The rest of each limit.
Room = tuple[int, ...]


class Combinations:
    """The combinations of one length per layer that fit, in lexicographic order.

    Parameters
    ----------
    space
        Space that gives the limits and the labels of the layers.
    lengths
        Available lengths at each layer, ascending; the space's own by default.
    """

    def __init__(self, space: Space, lengths: Sequence[Sequence[int]] | None = None) -> None:
        limits = space.limits
        towers = [tower for _, tower, _ in space.labels()]
        self.lengths = lengths or [space.towers[tower].lengths for tower in towers]
        self._prices = [tuple(limit.per_vector[tower] for limit in limits) for tower in towers]
        # What the layers from each one on cost at least and at most. Costs grow with the length,
        # so the shortest lengths are the cheapest by every limit at once.
        nothing = (0,) * len(limits)
        self._least, self._most = [nothing], [nothing]
        for offered, price in zip(self.lengths[::-1], self._prices[::-1], strict=True):
            self._least.insert(0, _plus(self._least[0], offered[0], price))
            self._most.insert(0, _plus(self._most[0], offered[-1], price))
        self.start = self._useful(0, tuple(limit.most for limit in limits))
        self.ways = cache(self._ways)

    @property
    def size(self) -> int:
        """Number of combinations that fit."""
        return self.ways(0, self.start)

    def options(self, layer: int, room: Room) -> Iterator[tuple[int, Room]]:
        """Return each length of a layer that can be completed, ascending, and the room left."""
        for length in self.lengths[layer]:
            left = _plus(room, -length, self._prices[layer])
            if all(a >= b for a, b in zip(left, self._least[layer + 1], strict=True)):
                yield length, self._useful(layer + 1, left)

    def at(self, index: int) -> tuple[int, ...]:
        """Return the combination with this index, out of ``size``."""
        found: list[int] = []
        room = self.start
        for layer in range(len(self.lengths)):
            for length, left in self.options(layer, room):
                ways = self.ways(layer + 1, left)
                if index < ways:
                    found.append(length)
                    room = left
                    break
                index -= ways
        return tuple(found)

    def index(self, lengths: Sequence[int]) -> int:
        """Return the index of a combination that fits."""
        index = 0
        room = self.start
        for layer, chosen in enumerate(lengths):
            for length, left in self.options(layer, room):
                if length == chosen:
                    room = left
                    break
                index += self.ways(layer + 1, left)
        return index

    def _ways(self, layer: int, room: Room) -> int:
        """Return the number of completions of the layers from ``layer`` on."""
        if layer == len(self.lengths):
            return 1
        return sum(self.ways(layer + 1, left) for _, left in self.options(layer, room))

    def _useful(self, layer: int, room: Room) -> Room:
        """Return ``room`` without the part that the layers from ``layer`` on cannot use.

        This merges states: a layer has only as many as its tower has distinct costs.
        """
        return tuple(map(min, room, self._most[layer]))


def _plus(room: Room, length: int, price: Room) -> Room:
    return tuple(left + length * each for left, each in zip(room, price, strict=True))


def lengths_of(space: Space, architecture: Architecture) -> tuple[int, ...]:
    """Return the lengths in the order of the space's labels."""
    # A file may list the towers in another order.
    return tuple(length for tower in space.towers for length in architecture.lengths[tower])


def architecture_of(space: Space, lengths: Sequence[int]) -> Architecture:
    """Return the architecture with these lengths, in the order of the space's labels."""
    labels = (label for label, _, _ in space.labels())
    return space.architecture(dict(zip(labels, lengths, strict=True)))
