"""A space with tighter or looser limits than its own."""

from __future__ import annotations

import math

from dpl_nas.space.space import Space

__all__ = ["bound_vectors", "relax"]


def bound_vectors(space: Space, share: float) -> Space:
    """Return the space, limited to a share of its most vectors if it has no limit of them."""
    if space.max_context_vectors is not None:
        return space
    parts = space.towers.values()
    least, most = (sum(part.lengths[end] * len(part.layers) for part in parts) for end in (0, -1))
    return space.model_copy(update={"max_context_vectors": max(least, round(share * most))})


def relax(space: Space, share: float) -> Space:
    """Return the space with looser limits: 0 leaves them, 1 allows the longest lengths everywhere.

    Limits between these are rounded up.
    """
    longest = {
        tower: (part.lengths[-1],) * len(part.layers) for tower, part in space.towers.items()
    }
    return space.model_copy(
        update={
            limit.key: limit.most + math.ceil(share * max(0, limit.cost(longest) - limit.most))
            for limit in space.limits
        }
    )
