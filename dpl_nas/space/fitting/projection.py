"""Exact search of the best-scoring architecture that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.combinations import Combinations, Room, architecture_of
from dpl_nas.space.space import Space

__all__ = ["project"]


def project(space: Space, scores: Mapping[str, Sequence[float]]) -> Architecture:
    """Return the architecture that fits and has the largest sum of scores.

    Sums are exact, over real numbers, so that ties do not depend on rounding. Of
    equal sums, the one with the fewest context vectors is taken, then the one whose first
    differing layer, in the order of :meth:`Space.labels`, is shorter.

    Parameters
    ----------
    scores
        Scores by label, one per candidate in the order of the tower's ``lengths``, such as
        log softmax(alpha). ``-inf`` rules a candidate out; where the limits leave no
        architecture without such candidates, those with the fewest of them are compared by
        their other scores.

    Raises
    ------
    ValueError
        If the labels are not those of the space, a label has too few or too many scores, or one
        is NaN or ``+inf``.
    """
    values = _exact(space, scores)
    combinations = Combinations(space)

    @cache
    def best(layer: int, room: Room) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """Return the best completion: (-ruled out, score, -vectors), and its lengths."""
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

    return architecture_of(space, best(0, combinations.start)[1])


def _exact(space: Space, scores: Mapping[str, Sequence[float]]) -> list[dict[int, int | None]]:
    """Return each layer's scores by length as integers of one common unit; -inf as ``None``."""
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
                f"expected {len(lengths)} scores for {label}, one a length and none of them NaN "
                f"or inf, found {row}"
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
