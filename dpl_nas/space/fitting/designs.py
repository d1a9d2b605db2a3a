"""Designs: one length at the first, the last or all layers of towers, or about the same at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from dpl_nas.space.architecture import Architecture
from dpl_nas.space.fitting.projection import project
from dpl_nas.space.space import Space, TowerSpace
from dpl_nas.space.towers import Tower

__all__ = ["even_design", "fits", "portfolio"]

#: The order of the portfolio: towers and placements that an expert would try. Where all of these
#: fit, or all but the first, six cover each tower, and first, last and all layers.
_ORDER = (
    ("both", "all"),
    ("text", "all"),
    ("image", "all"),
    ("text", "first"),
    ("image", "last"),
    ("both", "first"),
    ("text", "last"),
    ("image", "first"),
    ("both", "last"),
)
#: The length that the field takes where nothing limits it.
_USUAL = 4


@dataclass(frozen=True)
class _Design:
    """A manual design: its towers, placement, number of layers of each tower, and length."""

    towers: str
    placement: str
    layers: int
    length: int
    architecture: Architecture

    @property
    def name(self) -> str:
        count = "" if self.placement == "all" else f" {self.layers}"
        return f"{self.towers} {self.placement}{count} x {self.length}"


def portfolio(space: Space) -> dict[str, Architecture]:
    """Return the manual designs that fit, in the order in which an expert would try them.

    A manual design has one length at the first or last ``k`` searched layers, or at all, of the
    image tower, the text tower, or each of both; for each length of at least 1 that these towers
    offer. The other layers have no context, so a tower without length 0 only has designs that
    cover all of its layers.

    Towers and placements take turns, so the first few differ in both: all, first or last layers of
    the text tower, of the image tower, or of both. Of each, the designs with most vectors come
    first if the space has limits, else those whose length is nearest to 4; then those that cover
    nearest to half of the layers.

    Returns
    -------
    dict
        Designs by names such as ``image last 6 x 2`` (the last 6 searched layers of the image
        tower, 2 vectors each) or ``both all x 1``. There are no duplicates: ``first k`` is left
        out if these are all layers.
    """
    groups: dict[tuple[str, str], list[_Design]] = {each: [] for each in _ORDER}
    for design in _designs(space):
        # A space of one tower has groups of one tower.
        groups[design.towers, design.placement].append(design)
    depth = max((len(part.layers) for part in space.towers.values()), default=0)

    def rank(design: _Design) -> tuple[float, ...]:
        halves = abs(2 * design.layers - depth)
        if space.limits:
            return -design.architecture.vectors, halves, design.length
        return abs(design.length - _USUAL), halves, design.length

    rounds = zip_longest(*(sorted(group, key=rank) for group in groups.values()))
    return {each.name: each.architecture for turn in rounds for each in turn if each is not None}


def _designs(space: Space) -> Iterator[_Design]:
    groups: dict[str, tuple[Tower, ...]] = {tower: (tower,) for tower in space.towers}
    if len(space.towers) > 1:
        groups["both"] = tuple(space.towers)
    for group, towers in groups.items():
        others = [part for tower, part in space.towers.items() if tower not in towers]
        if not all(0 in part.lengths for part in others):
            continue
        parts = [space.towers[tower] for tower in towers]
        lengths = sorted(set.intersection(*(set(part.lengths) for part in parts)) - {0})
        for placement, layers, places in _placements(parts, towers):
            for length in lengths:
                chosen = {
                    label: length if (tower, layer) in places else 0
                    for label, tower, layer in space.labels()
                }
                if fits(space, chosen):
                    yield _Design(group, placement, layers, length, space.architecture(chosen))


def _placements(
    parts: Sequence[TowerSpace], towers: Sequence[Tower]
) -> Iterator[tuple[str, int, set[tuple[Tower, int]]]]:
    """Yield placements such as ``first`` 6, with their towers and layers."""
    depth = min(len(part.layers) for part in parts)
    named = [("all", depth, slice(None))]
    named += [("first", k, slice(k)) for k in range(1, depth + 1)]
    named += [("last", k, slice(-k, None)) for k in range(1, depth + 1)]
    every = {
        (tower, layer) for tower, part in zip(towers, parts, strict=True) for layer in part.layers
    }
    for name, layers, which in named:
        places = {
            (tower, layer)
            for tower, part in zip(towers, parts, strict=True)
            for layer in part.layers[which]
        }
        if name == "all" or places != every:
            yield name, layers, places


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
