"""Designs: one length at the first, the last or all layers of towers, or about the same at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.projection import project
from dpl_nas.space.space import Space, TowerSpace
from dpl_nas.space.towers import Tower

__all__ = ["even_design", "fits", "manual_designs"]


def manual_designs(space: Space) -> dict[str, Architecture]:
    """Return the manual designs that fit: one length at first, last or all layers of towers.

    There are designs for the image tower, the text tower, and both; for the first or last ``k``
    searched layers of each, or all of them; and for each length of at least 1 that all of these
    towers offer. The other layers have no context, so a tower without length 0 only has designs
    that cover all of its layers.

    Returns
    -------
    dict
        Designs by names such as ``image last 6 x 2`` (the last 6 searched layers of the image
        tower, 2 vectors each) or ``both all x 1``. There are no duplicates: ``first k`` is left
        out if these are all layers. The order is by towers (each alone, then both), placement
        (all, first, last), ``k`` and length.
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
                if fits(space, chosen):
                    designs[f"{group} {placement} x {length}"] = space.architecture(chosen)
    return designs


def _placements(
    parts: Sequence[TowerSpace], towers: Sequence[Tower]
) -> Iterator[tuple[str, set[tuple[Tower, int]]]]:
    """Return placements such as ``first 6``, with their towers and layers."""
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


def even_design(space: Space) -> Architecture:
    """Return the design with as many vectors as fit, about the same number at every layer.

    Where the limits allow one more vector at some layers only, these are spread over all layers.
    """
    labels = [label for label, _, _ in space.labels()]
    # Layers by the bits of their numbers in reverse: the first few are far apart, however many.
    bits = len(labels).bit_length()
    order = sorted(range(len(labels)), key=lambda at: f"{at:0{bits}b}"[::-1])
    rank = {labels[at]: place for place, at in enumerate(order)}
    longest = max(part.lengths[-1] for part in space.towers.values())
    # Each further vector of a layer is worth less than one of any layer that has fewer.
    scores = {
        label: [
            float(sum((longest - k + 1) * len(labels) - rank[label] for k in range(1, length + 1)))
            for length in space.towers[tower].lengths
        ]
        for label, tower, _ in space.labels()
    }
    return project(space, scores)


def fits(space: Space, lengths: Mapping[str, int]) -> bool:
    """Return whether these lengths by label are available and within the limits."""
    by_tower: dict[Tower, list[int]] = {tower: [] for tower in space.towers}
    for label, tower, _ in space.labels():
        if lengths[label] not in space.towers[tower].lengths:
            return False
        by_tower[tower].append(lengths[label])
    return all(limit.cost(by_tower) <= limit.most for limit in space.limits)
