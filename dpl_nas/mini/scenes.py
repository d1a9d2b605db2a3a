"""Sampling of scenes and their captions, in batches that are hard by construction.

All captions of a batch name the same set of attributes. So a caption is right for exactly
the images that have its attributes, and unnamed attributes cannot tell images apart.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.draws import draw_uniform
from dpl_nas.mini.batch import Batch
from dpl_nas.mini.captions import (
    PLACES,
    count_caption,
    glyph_caption,
    object_caption,
    relation_caption,
)
from dpl_nas.mini.render import COLOURS, FILLED, IMAGE_SIZE, TEXTURES, Light, Scene, render
from dpl_nas.mini.silhouettes import (
    BASIC_SHAPES,
    DIGITS,
    LETTERS,
    SHAPES,
    glyph_atlas,
    shape_atlas,
)

__all__ = [
    "FACTS",
    "GLYPH_VARIETY",
    "Variety",
    "counted",
    "glyphs",
    "paint",
    "pairs",
    "sample_batch",
    "singles",
]

_MIN_CONTRAST = 0.45
#: Shares of (attributes, shape, glyph, count, relation) batches.
_MIX = {"shape": 0.34, "attributes": 0.2, "glyph": 0.24, "count": 0.11, "relation": 0.11}


#: Facts of a scene and the number of their values.
FACTS: Mapping[str, int] = MappingProxyType(
    {
        "shape": len(SHAPES),
        "colour": len(COLOURS),
        "ground": len(COLOURS),
        "texture": len(TEXTURES),
        "style": 3,
        "size": 2,
        "place": len(PLACES),
        "glyph": len(DIGITS) + len(LETTERS),
        "count": 6,
        "relation": 2,
        "first": len(SHAPES),
        "second": len(SHAPES),
    }
)


@dataclass(frozen=True)
class Variety:
    """The probabilities and ranges of all that varies in a scene besides the label.

    Attributes
    ----------
    radius
        Range of a single object's radius, pixels.
    styles
        Probabilities of `FILLED`, `OUTLINE` and `SKETCH`.
    textured, busy
        Probability of a texture other than plain, and of a background with two tones.
    turn
        Largest rotation, radians.
    weight, bend
        Largest change of the stroke's width (pixels) and largest elastic distortion.
    light
        Disturbances of the finished image.
    """

    radius: tuple[float, float] = (6.5, 13.5)
    styles: tuple[float, float, float] = (0.7, 0.15, 0.15)
    textured: float = 0.4
    busy: float = 0.5
    turn: float = 0.35
    weight: float = 0.5
    bend: float = 0.06
    light: Light = field(default_factory=Light)


@dataclass
class _Palette:
    colours: Tensor  # (c,) indices into COLOURS that an object may have
    grounds: Tensor


def _integers(shape: Sequence[int], high: int, generator: torch.Generator) -> Tensor:
    return torch.randint(high, tuple(shape), generator=generator)


def _table() -> Tensor:
    return torch.tensor(list(COLOURS.values()))


def _contrasts() -> Tensor:
    table = _table()
    return torch.cdist(table, table) > _MIN_CONTRAST


def _scene(
    tiles: Tensor,
    present: Tensor,
    variety: Variety,
    generator: torch.Generator,
    palette: Sequence[int] | None = None,
    *,
    alike: bool = False,
) -> tuple[Scene, Tensor, Tensor]:
    """Return a scene of centred objects with random looks, and its colour indices.

    With ``alike`` the objects of an image share colour, texture and style.
    """
    b, k = present.shape
    allowed = _contrasts()
    colour = _integers((b, k), len(COLOURS), generator)
    if palette is not None:
        choice = torch.tensor(list(palette))
        colour = choice[_integers((b, k), len(palette), generator)]
    if alike:
        colour = colour[:, :1].expand(b, k)
    usable = allowed[colour].all(dim=1).float()
    # With many objects, there may be no colour far from all of them: then any will do.
    usable = torch.where(usable.sum(dim=1, keepdim=True) > 0, usable, torch.ones_like(usable))
    ground = torch.multinomial(usable, 1, generator=generator)[:, 0]
    table = _table()
    tone = table[colour] + 0.05 * torch.randn(b, k, 3, generator=generator)
    ground_tone = table[ground] + 0.05 * torch.randn(b, 3, generator=generator)
    # A second tone is lighter or darker than the first, never another colour.
    dark = (table[colour].mean(dim=-1, keepdim=True) < 0.3).float()
    shade = (table[colour].mean(dim=-1, keepdim=True) > 0.6).float()
    up = ((torch.rand(b, k, 1, generator=generator) < 0.5).float() + dark - shade).clamp(0, 1)
    second = tone * 0.3 + 0.7 * up
    lift = draw_uniform((b, 1), -0.3, 0.3, generator)
    textured = torch.rand(b, k, generator=generator) < variety.textured
    kinds = 1 + _integers((b, k), len(TEXTURES) - 1, generator)
    weights = torch.tensor(variety.styles).expand(b * k, 3)
    style = torch.multinomial(weights, 1, generator=generator).view(b, k)
    if alike:
        textured, kinds, style = (v[:, :1].expand(b, k) for v in (textured, kinds, style))
        tone, second = (v[:, :1].expand(b, k, 3) for v in (tone, second))
    busy = torch.rand(b, generator=generator) < variety.busy
    scene = Scene(
        tiles=tiles,
        present=present,
        centre=torch.full((b, k, 2), IMAGE_SIZE / 2),
        radius=draw_uniform((b, k), *variety.radius, generator),
        angle=draw_uniform((b, k), -variety.turn, variety.turn, generator),
        aspect=draw_uniform((b, k), 0.85, 1.18, generator),
        colour=tone.clamp(0, 1),
        second=second.clamp(0, 1),
        texture=torch.where(textured, kinds, torch.zeros_like(kinds)),
        style=style,
        weight=draw_uniform((b, k), -variety.weight, variety.weight, generator),
        bend=draw_uniform((b, k), 0, max(variety.bend, 1e-6), generator),
        ground=ground_tone.clamp(0, 1),
        ground_second=(ground_tone + lift).clamp(0, 1),
        ground_kind=torch.where(busy, 1 + _integers((b,), 3, generator), torch.zeros(b).long()),
        light=variety.light,
    )
    return scene, colour, ground


def _place_anywhere(scene: Scene, generator: torch.Generator) -> None:
    room = (IMAGE_SIZE / 2 - scene.radius - 0.5).clamp(min=0).unsqueeze(-1)
    shift = draw_uniform(scene.centre.shape, -1, 1, generator)
    scene.centre = IMAGE_SIZE / 2 + shift * room


def singles(
    labels: Tensor, variety: Variety, generator: torch.Generator, names: Sequence[str] = SHAPES
) -> Tensor:
    """Return images of one shape each, anywhere, of any colour and texture.

    Parameters
    ----------
    labels
        Indices into ``names``, ``(b,)``.

    Returns
    -------
    Tensor
        ``(b, 3, IMAGE_SIZE, IMAGE_SIZE)`` in 0..1.
    """
    scene = _single_scene(labels, variety, generator, names)[0]
    return render(scene, generator)


def _single_scene(
    labels: Tensor,
    variety: Variety,
    generator: torch.Generator,
    names: Sequence[str] = SHAPES,
    palette: Sequence[int] | None = None,
) -> tuple[Scene, Tensor, Tensor]:
    rows = torch.tensor([SHAPES.index(name) for name in names])
    tiles = shape_atlas()[rows[labels]].unsqueeze(1)
    present = torch.ones(len(labels), 1, dtype=torch.bool)
    scene, colour, ground = _scene(tiles, present, variety, generator, palette)
    _place_anywhere(scene, generator)
    return scene, colour[:, 0], ground


def paint(
    generator: torch.Generator,
    *,
    colours: Tensor | None = None,
    textures: Tensor | None = None,
    variety: Variety | None = None,
) -> Tensor:
    """Return images of one filled shape each, of given colours or textures, ``(b,)`` indices."""
    given = colours if colours is not None else textures
    if given is None:
        raise ValueError("expected colours or textures, found neither")
    variety = variety or Variety(styles=(1.0, 0.0, 0.0))
    labels = _integers((len(given),), len(SHAPES), generator)
    scene, _, _ = _single_scene(labels, variety, generator)
    if textures is not None:
        scene.texture = textures.view(-1, 1)
    if colours is not None:
        tone = _table()[colours] + 0.05 * torch.randn(len(given), 3, generator=generator)
        scene.colour = tone.clamp(0, 1).unsqueeze(1)
        scene.second = 0.5 * scene.colour
        usable = _contrasts()[colours].float()
        ground = torch.multinomial(usable, 1, generator=generator)[:, 0]
        scene.ground = scene.ground_second = _table()[ground]
    return render(scene, generator)


def counted(
    numbers: Tensor, shapes: Tensor, variety: Variety, generator: torch.Generator
) -> Tensor:
    """Return images of ``numbers`` (1..6, ``(b,)``) equal objects of ``shapes`` (into `SHAPES`)."""
    b, k = len(numbers), 6
    tiles = shape_atlas()[shapes].unsqueeze(1).expand(b, k, -1, -1)
    present = torch.arange(k).expand(b, k) < numbers.unsqueeze(1)
    scene, _, _ = _scene(tiles, present, variety, generator, alike=True)
    cells = torch.rand(b, 9, generator=generator).argsort(dim=1)[:, :k]
    grid = torch.stack((cells % 3, cells // 3), dim=-1).float()
    centre = (grid + 0.5) * IMAGE_SIZE / 3
    scene.centre = centre + draw_uniform((b, k, 2), -0.8, 0.8, generator)
    radius = draw_uniform((b, 1), 3.6, 5.0, generator)
    scene.radius = radius * draw_uniform((b, k), 0.9, 1.1, generator)
    return render(scene, generator)


def pairs(
    first: Tensor, second: Tensor, relation: Tensor, variety: Variety, generator: torch.Generator
) -> Tensor:
    """Return images of two shapes; ``relation`` 0: first above second, 1: first left of second."""
    b = len(first)
    tiles = shape_atlas()[torch.stack((first, second), dim=1)]
    present = torch.ones(b, 2, dtype=torch.bool)
    scene, _, _ = _scene(tiles, present, variety, generator)
    offset = draw_uniform((b,), 7.0, 9.0, generator)
    across = draw_uniform((b,), -3.5, 3.5, generator)
    above = relation == 0
    dx = torch.where(above, across, offset)
    dy = torch.where(above, offset, across)
    step = torch.stack((dx, dy), dim=-1)
    middle = IMAGE_SIZE / 2 + draw_uniform((b, 2), -1.0, 1.0, generator)
    scene.centre = torch.stack((middle - step, middle + step), dim=1)
    scene.radius = draw_uniform((b, 2), 5.0, 7.0, generator)
    return render(scene, generator)


def glyphs(
    labels: Tensor,
    characters: tuple[str, ...],
    variety: Variety,
    generator: torch.Generator,
    *,
    framed: float = 0.6,
) -> Tensor:
    """Return images of one character each, in any face.

    Parameters
    ----------
    labels
        Indices into ``characters``, ``(b,)``.
    framed
        Probability that the character fills the image, light on dark or dark on light.
    """
    atlas = glyph_atlas(characters)
    b = len(labels)
    faces = _integers((b,), atlas.shape[0], generator)
    tiles = atlas[faces, labels].unsqueeze(1)
    present = torch.ones(b, 1, dtype=torch.bool)
    scene, _, _ = _scene(tiles, present, variety, generator)
    scene.radius = draw_uniform((b, 1), 9.0, 15.0, generator)
    fills = torch.rand(b, 1, generator=generator) < framed
    scene.radius = torch.where(fills, draw_uniform((b, 1), 14.0, 17.0, generator), scene.radius)
    _place_anywhere(scene, generator)
    scene.aspect = draw_uniform((b, 1), 0.7, 1.35, generator)
    plain = fills[:, 0] & (torch.rand(b, generator=generator) < 0.7)
    light = draw_uniform((b, 1), 0.65, 1.0, generator).expand(b, 3)
    dark = draw_uniform((b, 1), 0.0, 0.12, generator).expand(b, 3)
    swap = torch.rand(b, 1, generator=generator) < 0.35
    ink, paper = torch.where(swap, dark, light), torch.where(swap, light, dark)
    scene.colour = torch.where(plain.view(b, 1, 1), ink.unsqueeze(1), scene.colour)
    scene.ground = torch.where(plain.view(b, 1), paper, scene.ground)
    scene.texture = torch.where(plain.view(b, 1), 0, scene.texture)
    scene.ground_kind = torch.where(plain, 0, scene.ground_kind)
    return render(scene, generator)


GLYPH_VARIETY = Variety(
    styles=(0.92, 0.08, 0.0),
    textured=0.15,
    busy=0.25,
    turn=0.3,
    weight=1.3,
    bend=0.13,
    light=Light(coarse=0.6),
)


def _unique(meanings: Sequence[tuple[object, ...]]) -> tuple[list[int], Tensor]:
    """Return the first occurrence of each distinct meaning, and each item's meaning index."""
    seen: dict[tuple[object, ...], int] = {}
    first: list[int] = []
    targets = []
    for index, meaning in enumerate(meanings):
        if meaning not in seen:
            seen[meaning] = len(seen)
            first.append(index)
        targets.append(seen[meaning])
    return first, torch.tensor(targets)


def _batch(
    images: Tensor,
    captions: list[str],
    targets: Tensor,
    first: Sequence[int],
    facts: dict[str, Tensor],
    named: set[str],
) -> Batch:
    """Return a batch in which an image has one caption, that of its target.

    Parameters
    ----------
    targets
        Index of each image's caption, ``(b,)``.
    first
        The image that each caption was written for, ``(m,)``.
    named
        The facts that all captions name.
    """
    fits = functional.one_hot(targets, len(captions)).bool()
    told = {name: values[first] for name, values in facts.items() if name in named}
    return Batch(images, captions, fits, facts, told)


class _Voice:
    """The source from which captions draw their words.

    In most batches all captions have the same wording: varying templates are noise, and a
    fresh model reacts to noise by ignoring its input.
    """

    def __init__(self, rng: random.Random, ease: float) -> None:
        self._rng = rng
        self._alike = rng.random() < 1 - 0.5 * ease
        self._seed = rng.getrandbits(32)

    def __call__(self) -> random.Random:
        return random.Random(self._seed) if self._alike else self._rng


def _ease(variety: Variety, difficulty: float) -> Variety:
    light = variety.light
    return replace(
        variety,
        radius=(
            variety.radius[1] - difficulty * (variety.radius[1] - variety.radius[0]),
            variety.radius[1],
        ),
        textured=variety.textured * difficulty,
        busy=variety.busy * difficulty,
        turn=variety.turn * difficulty,
        light=replace(light, noise=light.noise * difficulty, dim=light.dim * difficulty),
    )


def _shape_weights(names: Sequence[str]) -> Tensor:
    return torch.tensor([1.0 if name in BASIC_SHAPES else 0.5 for name in names])


def _shape_batch(b: int, rng: random.Random, g: torch.Generator, ease: float) -> Batch:
    labels = torch.multinomial(_shape_weights(SHAPES), b, replacement=True, generator=g)
    scene, colour, ground = _single_scene(labels, _ease(Variety(), ease), g)
    voice = _Voice(rng, ease)
    first, targets = _unique([(i,) for i in labels.tolist()])
    captions = [object_caption(voice(), shape=SHAPES[labels[i]]) for i in first]
    facts = {"shape": labels, **_looks(scene, colour, ground)}
    return _batch(render(scene, g), captions, targets, first, facts, {"shape"})


def _looks(scene: Scene, colour: Tensor, ground: Tensor) -> dict[str, Tensor]:
    facts = {"colour": colour, "ground": ground}
    return facts | {"texture": scene.texture[:, 0], "style": scene.style[:, 0]}


def _attribute_batch(b: int, rng: random.Random, g: torch.Generator, ease: float) -> Batch:
    named = set(rng.sample(("colour", "texture", "size", "place", "ground", "style"), 2))
    # Colours are learnt at once; they show a fresh model that captions matter.
    named |= {"colour"} if rng.random() > ease else set()
    named |= {"shape"} if rng.random() < 0.7 else set()
    if rng.random() < 0.35:
        named |= {"texture"}
    variety = _ease(Variety(), ease)
    if "texture" in named:
        variety = replace(variety, textured=0.83, styles=(1.0, 0.0, 0.0))
    if "style" in named:
        variety = replace(variety, styles=(0.34, 0.33, 0.33))
    if "texture" in named and "style" in named:
        named.discard("style")
        variety = replace(variety, styles=(1.0, 0.0, 0.0))
    if "size" in named or "place" in named:
        variety = replace(variety, radius=(5.0, 13.5))
    # Few shapes and colours per batch: then one word tells each pair of captions apart.
    names = rng.sample(SHAPES, rng.choice((4, 8)))
    palette = rng.sample(range(len(COLOURS)), rng.choice((2, 4, 12)))
    weights = _shape_weights(names)
    labels = torch.multinomial(weights, b, replacement=True, generator=g)
    scene, colour, ground = _single_scene(labels, variety, g, names, palette)
    large = torch.rand(b, generator=g) < 0.5
    if "size" in named:
        radius = torch.where(
            large, draw_uniform((b,), 10.5, 13.5, g), draw_uniform((b,), 5.0, 7.0, g)
        )
        scene.radius = radius.unsqueeze(1)
        _place_anywhere(scene, g)
    place = _integers((b,), len(PLACES), g)
    if "place" in named:
        scene.radius = draw_uniform((b, 1), 5.0, 7.0, g)
        steps = torch.tensor([(0, 0), (0, -1), (0, 1), (-1, 0), (1, 0)]).float()[place]
        jitter = draw_uniform((b, 2), -2.0, 2.0, g)
        scene.centre = (IMAGE_SIZE / 2 + 8.5 * steps + jitter).unsqueeze(1)
        named.discard("size")
    images = render(scene, g)
    hues = list(COLOURS)
    texture, style = scene.texture[:, 0].tolist(), scene.style[:, 0].tolist()

    def told(i: int) -> tuple[str | None, str | None, str | None, str | None, str | None, int]:
        return (
            names[int(labels[i])] if "shape" in named else None,
            hues[int(colour[i])] if "colour" in named else None,
            TEXTURES[texture[i]] if "texture" in named else None,
            ("large" if large[i] else "small") if "size" in named else None,
            PLACES[int(place[i])] if "place" in named else None,
            style[i] if "style" in named else FILLED,
        )

    grounds = [hues[i] if "ground" in named else None for i in ground.tolist()]
    meanings = [(*told(i), grounds[i]) for i in range(b)]
    voice = _Voice(rng, ease)
    first, targets = _unique(meanings)
    captions = []
    for i in first:
        shape, hue, weave, size, spot, look = told(i)
        captions.append(
            object_caption(
                voice(),
                shape=shape,
                colour=hue,
                texture=weave,
                size=size,
                place=spot,
                ground=grounds[i],
                style=look,
            )
        )
    rows = torch.tensor([SHAPES.index(name) for name in names])
    facts = {"shape": rows[labels], **_looks(scene, colour, ground)}
    facts |= {"size": large.long()} if "size" in named else {}
    facts |= {"place": place} if "place" in named else {}
    return _batch(images, captions, targets, first, facts, named)


def _glyph_batch(b: int, rng: random.Random, g: torch.Generator, ease: float) -> Batch:
    kind = rng.random()
    lower = LETTERS
    characters = DIGITS
    if kind >= 0.6:
        characters = lower if rng.random() < 0.5 else tuple(c.upper() for c in lower)
    labels = _integers((b,), len(characters), g)
    variety = GLYPH_VARIETY
    light = replace(variety.light, coarse=variety.light.coarse * ease)
    images = glyphs(labels, characters, replace(_ease(variety, ease), light=light), g)
    voice = _Voice(rng, ease)
    first, targets = _unique([(i,) for i in labels.tolist()])
    captions = [glyph_caption(voice(), characters[labels[i]].lower()) for i in first]
    offset = 0 if characters is DIGITS else len(DIGITS)
    facts = {"glyph": labels + offset}
    return _batch(images, captions, targets, first, facts, set(facts))


def _count_batch(b: int, rng: random.Random, g: torch.Generator, ease: float) -> Batch:
    numbers = 1 + _integers((b,), 6, g)
    chosen = torch.tensor(rng.sample(range(len(BASIC_SHAPES)), rng.choice((1, 3, 6))))
    shapes = chosen[_integers((b,), len(chosen), g)]
    variety = _ease(replace(Variety(), textured=0.15, styles=(0.85, 0.15, 0.0)), ease)
    images = counted(numbers, shapes, variety, g)
    named = rng.random() < 0.7
    pairs_ = list(zip(numbers.tolist(), shapes.tolist(), strict=True))
    meanings: list[tuple[object, ...]] = [(n, s if named else None) for n, s in pairs_]
    voice = _Voice(rng, ease)
    first, targets = _unique(meanings)
    captions = [
        count_caption(voice(), pairs_[i][0], SHAPES[pairs_[i][1]] if named else None) for i in first
    ]
    told = {"count", "shape"} if named else {"count"}
    facts = {"count": numbers - 1, "shape": shapes}
    return _batch(images, captions, targets, first, facts, told)


def _relation_batch(b: int, rng: random.Random, g: torch.Generator, ease: float) -> Batch:
    size = rng.choice((3, 4, 5))
    chosen = torch.tensor(rng.sample(range(len(SHAPES)), size))
    first_shape = _integers((b,), size, g)
    second_shape = (first_shape + 1 + _integers((b,), size - 1, g)) % size
    relation = _integers((b,), 2, g)
    one, two = chosen[first_shape], chosen[second_shape]
    variety = _ease(replace(Variety(), textured=0.25, styles=(0.85, 0.15, 0.0)), ease)
    images = pairs(one, two, relation, variety, g)
    triples = list(zip(relation.tolist(), one.tolist(), two.tolist(), strict=True))
    voice = _Voice(rng, ease)
    first, targets = _unique(triples)
    captions = [
        relation_caption(voice(), ("above", "left")[r], SHAPES[s], SHAPES[t])
        for r, s, t in (triples[i] for i in first)
    ]
    facts = {"relation": relation, "first": one, "second": two}
    return _batch(images, captions, targets, first, facts, set(facts))


_BATCHES = {
    "shape": _shape_batch,
    "attributes": _attribute_batch,
    "glyph": _glyph_batch,
    "count": _count_batch,
    "relation": _relation_batch,
}


def sample_batch(size: int, seed: int, difficulty: float = 1.0) -> Batch:
    """Return a batch of ``size`` images, of a kind drawn at random.

    Parameters
    ----------
    seed
        Seed of everything, so that an interrupted run continues without stored state.
    difficulty
        Difficulty from 0 (large, plain, clean) to 1.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = random.Random(seed)
    kind = rng.choices(list(_MIX), weights=list(_MIX.values()))[0]
    if rng.random() > difficulty:
        kind = "attributes"
    return _BATCHES[kind](size, rng, generator, difficulty)
