"""Weighted draws of architectures that fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.combinations import Combinations, Room, architecture_of
from dpl_nas.space.fitting.draws import sample
from dpl_nas.space.space import Space

__all__ = ["sample_weighted", "weighted_draws"]


def sample_weighted(
    space: Space, rng: Random, weights: Mapping[str, Sequence[float]]
) -> Architecture:
    """Draw an architecture that fits, by independent weights of each layer's lengths.

    The probability of an architecture is the product of the weights of its lengths over the sum
    of these products over all that fit: independent draws, on condition that they fit, without
    a single rejection.

    Parameters
    ----------
    rng
        Random generator; one number is drawn per layer.
    weights
        Weights by label, one per candidate in the order of the tower's ``lengths``, such as
        softmax(alpha): 0 or more. Where the limits allow none whose weights are all positive,
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
    """Prepare :func:`sample_weighted` for many draws by the same weights."""
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
        raise ValueError(f"space {space.name} has no layers {', '.join(unknown[:6])}")
    combinations = Combinations(space)

    @cache
    def total(layer: int, room: Room) -> int:
        """Return the sum, over the completions, of the products of their weights."""
        if layer == len(rows):
            return 1
        return sum(
            rows[layer][length] * total(layer + 1, left)
            for length, left in combinations.options(layer, room)
        )

    @cache
    def shares(layer: int, room: Room) -> tuple[list[tuple[int, Room]], list[float]]:
        """Return a layer's possible lengths with the room they leave, and their probabilities."""
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
        return architecture_of(space, found)

    return draw
