"""Architectures within the budget of a space: counted, drawn, varied and projected exactly.

Every cost is a sum over layers, so dynamic programming over the layers and what is left of the
budget replaces both enumeration and rejection. A space without a budget works alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from random import Random

from dpl_nas.errors import ArchitectureError
from dpl_nas.space import Architecture, Space, TowerSpace
from dpl_nas.towers import Tower

__all__ = [
    "count",
    "crossover",
    "enumerate_all",
    "mutate",
    "nth",
    "project",
    "sample",
    "sample_weighted",
    "uniform_designs",
    "weighted_draws",
]

#: What is left of each limit.
Room = tuple[int, ...]


class _Combinations:
    """The combinations of one length a layer that fit, in lexicographic order.

    Parameters
    ----------
    space
        Whose budget holds, and whose labels are the layers.
    lengths
        The lengths on offer at each layer, ascending; the space's own by default.
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
        """How many fit."""
        return self.ways(0, self.start)

    def options(self, layer: int, room: Room) -> Iterator[tuple[int, Room]]:
        """Each length of a layer that can be completed, ascending, and what it leaves."""
        for length in self.lengths[layer]:
            left = _plus(room, -length, self._prices[layer])
            if all(a >= b for a, b in zip(left, self._least[layer + 1], strict=True)):
                yield length, self._useful(layer + 1, left)

    def at(self, index: int) -> tuple[int, ...]:
        """The combination with this index, of ``size``."""
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
        """The index of a combination that fits."""
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
        """How many completions the layers from ``layer`` on have."""
        if layer == len(self.lengths):
            return 1
        return sum(self.ways(layer + 1, left) for _, left in self.options(layer, room))

    def _useful(self, layer: int, room: Room) -> Room:
        """``room`` without what the layers from ``layer`` on cannot use.

        This merges states: as many are left at a layer as its tower has distinct costs.
        """
        return tuple(map(min, room, self._most[layer]))


def _plus(room: Room, length: int, price: Room) -> Room:
    return tuple(left + length * each for left, each in zip(room, price, strict=True))


def count(space: Space) -> int:
    """How many architectures fit the budget of ``space``: exact, and never 0."""
    return _Combinations(space).size


def nth(space: Space, index: int) -> Architecture:
    """The architecture with ``index``, of :func:`count`, in the order of :func:`enumerate_all`.

    Raises
    ------
    IndexError
        If ``index`` is not in ``range(count(space))``.
    """
    combinations = _Combinations(space)
    if not 0 <= index < combinations.size:
        raise IndexError(
            f"expected an index from 0 to {combinations.size - 1} in space {space.name}, found "
            f"{index}"
        )
    return _architecture(space, combinations.at(index))


def enumerate_all(space: Space) -> Iterator[Architecture]:
    """Every architecture that fits, one by one, as its turn comes.

    The order is lexicographic by the lengths in the order of :meth:`Space.labels`: it starts with
    the shortest lengths everywhere, and the last layer of the last tower changes fastest.
    """
    combinations = _Combinations(space)
    for index in range(combinations.size):
        yield _architecture(space, combinations.at(index))


def sample(space: Space, rng: Random, fixed: Mapping[str, int] | None = None) -> Architecture:
    """An architecture that fits, each with the same probability.

    Parameters
    ----------
    rng
        Drawn from once.
    fixed
        Lengths by label, such as ``{"image/0": 4}``, that it shall have; the draw is uniform
        over those that have them.

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
    if not all(lengths) or not (combinations := _Combinations(space, lengths)).size:
        raise ArchitectureError(
            f"no architecture of space {space.name} has "
            f"{', '.join(f'{length} at {label}' for label, length in kept.items())} within the "
            "budget: fix other lengths, or fewer"
        )
    return _architecture(space, combinations.at(rng.randrange(combinations.size)))


def sample_weighted(
    space: Space, rng: Random, weights: Mapping[str, Sequence[float]]
) -> Architecture:
    """An architecture that fits, drawn by independent weights of each layer's lengths.

    The probability of an architecture is the product of the weights of its lengths over the sum
    of these products over all that fit: independent draws, on condition that they fit, without
    a single rejection.

    Parameters
    ----------
    rng
        Drawn from once a layer.
    weights
        For each label, one weight a candidate in the order of the tower's ``lengths``, such as
        softmax(alpha): 0 or more. Where the budget allows none whose weights are all positive,
        the draw is uniform.

    Raises
    ------
    ValueError
        If the labels are not those of the space, a label has too few or too many weights, or one
        is negative or not finite.
    """
    return weighted_draws(space, weights)(rng)


def weighted_draws(
    space: Space, weights: Mapping[str, Sequence[float]]
) -> Callable[[Random], Architecture]:
    """:func:`sample_weighted` for many draws by the same weights, which share what takes long."""
    labels = {label: space.towers[tower].lengths for label, tower, _ in space.labels()}
    rows: list[dict[int, int]] = []
    for label, lengths in labels.items():
        row = [float(weight) for weight in weights.get(label, ())]
        if len(row) != len(lengths) or not all(0 <= weight < math.inf for weight in row):
            raise ValueError(
                f"expected {len(lengths)} finite weights of 0 or more for {label}, one a length, "
                f"found {row}"
            )
        # Whole multiples of a common unit: products of many small weights must not become 0.
        ratios = [weight.as_integer_ratio() for weight in row]
        unit = max(below for _, below in ratios)
        rows.append(
            {c: over * (unit // below) for c, (over, below) in zip(lengths, ratios, strict=True)}
        )
    if set(weights) != set(labels):
        unknown = sorted(set(weights) - set(labels))
        raise ValueError(f"space {space.name} has no {', '.join(unknown[:6])}")
    combinations = _Combinations(space)

    @cache
    def total(layer: int, room: Room) -> int:
        """The sum over the completions of the products of their weights."""
        if layer == len(rows):
            return 1
        return sum(
            rows[layer][length] * total(layer + 1, left)
            for length, left in combinations.options(layer, room)
        )

    @cache
    def shares(layer: int, room: Room) -> tuple[list[tuple[int, Room]], list[float]]:
        """The lengths of a layer that can be completed, with what they leave; and how likely."""
        options = list(combinations.options(layer, room))
        everything = total(layer, room)
        return options, [
            rows[layer][length] * total(layer + 1, left) / everything for length, left in options
        ]

    def draw(rng: Random) -> Architecture:
        if not total(0, combinations.start):
            return sample(space, rng)
        found: list[int] = []
        room = combinations.start
        for layer in range(len(rows)):
            length, room = rng.choices(*shares(layer, room))[0]
            found.append(length)
        return _architecture(space, found)

    return draw


def mutate(space: Space, architecture: Architecture, rng: Random, layers: int = 2) -> Architecture:
    """Another architecture that fits, alike but for a few layers.

    Layers are opened in random order: first ``layers`` of them, and then more, one by one, as
    long as the lengths of all others leave no alternative. The open ones are drawn anew,
    uniformly over all that fits except the old lengths. Two layers let a vector move from one to
    the other; when the budget is used up, one layer could only become shorter. Every architecture
    that fits can be reached by repetition.

    Parameters
    ----------
    architecture
        One that fits.
    layers
        How many are opened at first, at least 1; at most so many change as a rule.

    Returns
    -------
    Architecture
        ``architecture`` itself only where it is the only one that fits.

    Raises
    ------
    ArchitectureError
        If ``architecture`` does not belong to ``space`` or exceeds its budget.
    ValueError
        If ``layers`` is less than 1.
    """
    if layers < 1:
        raise ValueError(f"expected at least 1 layer to open, found {layers}")
    space.check(architecture)
    old = _lengths(space, architecture)
    offered = [space.towers[tower].lengths for _, tower, _ in space.labels()]
    order = list(range(len(old)))
    rng.shuffle(order)
    for opened in range(min(layers, len(old)), len(old) + 1):
        open_layers = set(order[:opened])
        combinations = _Combinations(
            space, [offered[i] if i in open_layers else (old[i],) for i in range(len(old))]
        )
        if combinations.size > 1:
            # The old lengths are left out by stepping over their index.
            index = rng.randrange(combinations.size - 1)
            index += index >= combinations.index(old)
            return _architecture(space, combinations.at(index))
    return architecture


def crossover(space: Space, a: Architecture, b: Architecture, rng: Random) -> Architecture:
    """A child whose length at each layer is that of ``a`` or ``b``, and that fits.

    Uniform over all such children, which is uniform crossover (Syswerda 1989) given that the
    child fits. The parents are among them.

    Raises
    ------
    ArchitectureError
        If a parent does not belong to ``space`` or exceeds its budget.
    """
    space.check(a)
    space.check(b)
    lengths = [
        sorted(set(pair)) for pair in zip(_lengths(space, a), _lengths(space, b), strict=True)
    ]
    combinations = _Combinations(space, lengths)
    return _architecture(space, combinations.at(rng.randrange(combinations.size)))


def project(space: Space, scores: Mapping[str, Sequence[float]]) -> Architecture:
    """The architecture that fits and has the largest sum of scores.

    Exact: sums are those of the scores as real numbers, so that ties do not hang on rounding. Of
    equal sums, the one with the fewest context vectors is taken, then the one whose first
    differing layer, in the order of :meth:`Space.labels`, is shorter.

    Parameters
    ----------
    scores
        For each label, one score a candidate in the order of the tower's ``lengths``, such as
        log softmax(alpha). ``-inf`` rules a candidate out; where the budget leaves no
        architecture without such candidates, those with the fewest of them are compared by
        their other scores.

    Raises
    ------
    ValueError
        If the labels are not those of the space, a label has too few or too many scores, or one
        is NaN or ``+inf``.
    """
    values = _exact(space, scores)
    combinations = _Combinations(space)

    @cache
    def best(layer: int, room: Room) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """The best completion: (-ruled out, score, -vectors), and its lengths."""
        if layer == len(values):
            return (0, 0, 0), ()
        found: list[tuple[tuple[int, int, int], tuple[int, ...]]] = []
        for length, left in combinations.options(layer, room):
            (ruled_out, score, vectors), rest = best(layer + 1, left)
            value = values[layer][length]
            key = (
                (ruled_out - 1, score, vectors - length)
                if value is None
                else (ruled_out, score + value, vectors - length)
            )
            found.append((key, (length, *rest)))
        # max takes the first of equal keys, and lengths come in ascending order.
        return max(found, key=lambda each: each[0])

    return _architecture(space, best(0, combinations.start)[1])


def _exact(space: Space, scores: Mapping[str, Sequence[float]]) -> list[dict[int, int | None]]:
    """For each layer, the scores by length as integers of one common unit; -inf as ``None``."""
    labels = {label: space.towers[tower].lengths for label, tower, _ in space.labels()}
    if set(scores) != set(labels):
        wrong = sorted(set(scores) ^ set(labels))
        raise ValueError(
            f"expected scores for the {len(labels)} layers of space {space.name}; missing or "
            f"unknown: {', '.join(wrong[:6])}"
        )
    fractions: list[list[tuple[int, int] | None]] = []
    for label, lengths in labels.items():
        row = [float(score) for score in scores[label]]
        if len(row) != len(lengths) or any(math.isnan(x) or x == math.inf for x in row):
            raise ValueError(
                f"expected {len(lengths)} scores below infinity for {label}, one a length, found "
                f"{row}"
            )
        fractions.append([None if x == -math.inf else x.as_integer_ratio() for x in row])
    # Denominators of floats are powers of two: the largest is a multiple of all.
    unit = max((ratio[1] for row in fractions for ratio in row if ratio), default=1)
    return [
        {
            length: ratio and ratio[0] * (unit // ratio[1])
            for length, ratio in zip(lengths, row, strict=True)
        }
        for lengths, row in zip(labels.values(), fractions, strict=True)
    ]


def uniform_designs(space: Space) -> dict[str, Architecture]:
    """The manual designs that fit: one length at the first, the last or all layers of towers.

    For the image tower alone, the text tower alone, and both; for ``k`` layers from the start or
    from the end of what is searched of each, or all of them; and for each length of at least 1
    that all of these towers offer. The other layers have no context, so a tower that does not
    offer length 0 only has designs that leave none of its layers out.

    Returns
    -------
    dict
        By names such as ``image last 6 x 2`` (the last 6 searched layers of the image tower, 2
        vectors each) or ``both all x 1``. None is there twice: ``first k`` is left out where
        these are all. Ordered by towers (each alone, then both), placement (all, first, last),
        ``k`` and length.
    """
    groups: dict[str, tuple[Tower, ...]] = {tower: (tower,) for tower in space.towers}
    if len(space.towers) > 1:
        groups["both"] = tuple(space.towers)
    designs = {}
    for group, towers in groups.items():
        others = [part for tower, part in space.towers.items() if tower not in towers]
        if not all(0 in part.lengths for part in others):
            continue
        parts = [space.towers[tower] for tower in towers]
        lengths = sorted(set.intersection(*(set(part.lengths) for part in parts)) - {0})
        for placement, places in _placements(parts, towers):
            for length in lengths:
                chosen = {
                    label: length if (tower, layer) in places else 0
                    for label, tower, layer in space.labels()
                }
                if _fits(space, chosen):
                    designs[f"{group} {placement} x {length}"] = space.architecture(chosen)
    return designs


def _placements(
    parts: Sequence[TowerSpace], towers: Sequence[Tower]
) -> Iterator[tuple[str, set[tuple[Tower, int]]]]:
    """``first 6`` and so on, with the towers and layers that it means."""
    named = [("all", slice(None))]
    depth = min(len(part.layers) for part in parts)
    named += [(f"first {k}", slice(k)) for k in range(1, depth + 1)]
    named += [(f"last {k}", slice(-k, None)) for k in range(1, depth + 1)]
    every = {
        (tower, layer) for tower, part in zip(towers, parts, strict=True) for layer in part.layers
    }
    for name, which in named:
        places = {
            (tower, layer)
            for tower, part in zip(towers, parts, strict=True)
            for layer in part.layers[which]
        }
        if name == "all" or places != every:
            yield name, places


def _fits(space: Space, lengths: Mapping[str, int]) -> bool:
    """Whether these lengths by label are on offer, within the budget."""
    by_tower: dict[Tower, list[int]] = {tower: [] for tower in space.towers}
    for label, tower, _ in space.labels():
        if lengths[label] not in space.towers[tower].lengths:
            return False
        by_tower[tower].append(lengths[label])
    return all(limit.cost(by_tower) <= limit.most for limit in space.limits)


def _lengths(space: Space, architecture: Architecture) -> tuple[int, ...]:
    """In the order of the space's labels."""
    # A file may list the towers in another order.
    return tuple(length for tower in space.towers for length in architecture.lengths[tower])


def _architecture(space: Space, lengths: Sequence[int]) -> Architecture:
    labels = (label for label, _, _ in space.labels())
    return space.architecture(dict(zip(labels, lengths, strict=True)))
