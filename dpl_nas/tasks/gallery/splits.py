"""Splits by drawing: what the shots show and what the test set shows.

The two never share a drawing: they show different concepts, or each concept by different artists.
Skin tones, genders and the outline of a drawing go where the drawing goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import accumulate

from dpl_nas.gallery.pack import Gallery
from dpl_nas.gallery.picture import Picture
from dpl_nas.seeds import derive_seed
from dpl_nas.tasks.gallery.recipes import Recipe, Variant

__all__ = ["Pools", "split_pictures", "split_things"]

#: The pictures of each drawing of each class.
Pools = dict[str, dict[str, list[int]]]

#: The part of the concepts that the test set shows; the shots show the first.
_TEST = 1


def split_pictures(
    gallery: Gallery, recipe: Recipe, variant: Variant | None = None
) -> tuple[Pools, Pools]:
    """Return the pictures of the shots and of the test set, by class and drawing.

    Classes that lack either are left out; a variant may show fewer of them.
    """
    if recipe.test_styles:
        train = _pools(gallery, recipe.classify, recipe.styles)
        test = _pools(gallery, recipe.classify, recipe.test_styles)
    elif recipe.by_turns:
        train, test = _take_turns(_pools(gallery, recipe.classify, recipe.styles))
    else:
        parts = _part_concepts(gallery, recipe)
        train, test = (
            _pools(gallery, recipe.classify, recipe.styles, concepts)
            for concepts in parts[: _TEST + 1]
        )
    names = train.keys() & test.keys()
    if variant is not None:
        parts = _part_concepts(gallery, recipe)
        concepts = set.union(*parts[1:]) if variant.part is None else parts[variant.part]
        if variant.classify is not None:
            test = _pools(gallery, variant.classify, variant.styles)
        else:
            test = _pools(gallery, recipe.classify, variant.styles, concepts)
    return (
        {name: train[name] for name in names},
        {name: test[name] for name in names & test.keys()},
    )


def split_things(things: Mapping[str, Mapping[str, Sequence[int]]]) -> tuple[Pools, Pools]:
    """Split the photographed things of each class into halves."""
    halves: tuple[Pools, Pools] = ({}, {})
    for name, photographs in things.items():
        for half, chosen in zip(halves, _cut(photographs, (1, 1)), strict=True):
            half[name] = {thing: list(photographs[thing]) for thing in chosen}
    return halves


def _take_turns(pools: Pools) -> tuple[Pools, Pools]:
    """Keep one of the drawings of each concept for the test: another artist's each time."""
    train: Pools = {}
    test: Pools = {}
    for name, drawings in pools.items():
        concepts: dict[str, list[str]] = {}
        for drawing in sorted(drawings):
            concepts.setdefault(_concept(drawing), []).append(drawing)
        for concept, same in concepts.items():
            # What one artist alone has drawn is for the shots.
            chosen = derive_seed(0, "turn", concept) % len(same) if len(same) > 1 else None
            for place, drawing in enumerate(same):
                side = test if place == chosen else train
                side.setdefault(name, {})[drawing] = drawings[drawing]
    return train, test


def _concept(drawing: str) -> str:
    """Return what a drawing shows."""
    return drawing.partition("/")[2]


def _part_concepts(gallery: Gallery, recipe: Recipe) -> list[set[str]]:
    """Split what is shown, class by class, into parts of the sizes that the recipe gives."""
    groups: dict[str, set[str]] = {}
    for picture in gallery.pictures:
        name = recipe.classify(picture) if picture.style in recipe.styles else None
        if name is not None:
            groups.setdefault("" if recipe.together else name, set()).add(_concept(picture.drawing))
    parts: list[set[str]] = [set() for _ in recipe.parts]
    for concepts in groups.values():
        for part, chosen in zip(parts, _cut(concepts, recipe.parts), strict=True):
            part.update(chosen)
    return parts


def _cut(things: Collection[str], sizes: Sequence[int]) -> list[list[str]]:
    """Split things, in an order that looks random, into parts of relative ``sizes``."""
    order = sorted(things, key=lambda thing: derive_seed(0, "part", thing))
    # Rounded up: the first part has what is left over.
    ends = [-(-len(order) * end // sum(sizes)) for end in accumulate(sizes)]
    return [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _pools(
    gallery: Gallery,
    classify: Callable[[Picture], str | None],
    styles: Sequence[str],
    concepts: set[str] | None = None,
) -> Pools:
    pools: Pools = {}
    for index, picture in enumerate(gallery.pictures):
        if picture.style not in styles:
            continue
        name = classify(picture)
        if name is not None and (concepts is None or _concept(picture.drawing) in concepts):
            pools.setdefault(name, {}).setdefault(picture.drawing, []).append(index)
    return pools
