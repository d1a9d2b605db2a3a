"""The language of the captions: names, synonyms, templates and phrases."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dpl_nas.mini.render import COLOURS, TEXTURES
from dpl_nas.mini.silhouettes import DIGITS, LETTERS, SHAPES

__all__ = [
    "DIGIT_NAMES",
    "NUMBER_NAMES",
    "PLACES",
    "SYNONYMS",
    "TEMPLATES",
    "count_caption",
    "every_word",
    "glyph_caption",
    "object_caption",
    "plural",
    "relation_caption",
]

#: Templates for any noun phrase; the first is the plainest.
TEMPLATES = (
    "a photo of a {}.",
    "a {}.",
    "a picture of a {}.",
    "an image of a {}.",
    "a drawing of a {}.",
    "a photo of the {}.",
    "this is a {}.",
    "a good photo of a {}.",
    "a bad photo of a {}.",
    "a blurry photo of a {}.",
    "a bright photo of the {}.",
    "a dark photo of a {}.",
    "a low resolution photo of a {}.",
    "a close-up photo of a {}.",
    "a rendering of a {}.",
    "a {} in a scene.",
    "one {}.",
)
_PLURAL_TEMPLATES = ("a photo of {}.", "{}.", "a picture of {}.", "an image of {}.")
_GLYPH_TEMPLATES = (
    "a photo of the {kind} {name}.",
    "the {kind} {name}.",
    "a photo of a {name}.",
    "a {name}.",
    'a photo of the {kind}: "{name}".',
    "a handwritten {name}.",
    "an image of the {kind} {name}.",
    "a blurry photo of the {kind} {name}.",
)
_STYLES = (
    ("{}",),
    ("outline of a {}", "line drawing of a {}"),
    ("sketch of a {}", "doodle of a {}"),
)
PLACES = ("center", "top", "bottom", "left", "right")
_NOUNS = ("shape", "object", "thing")
DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBER_NAMES = ("one", "two", "three", "four", "five", "six")

#: Synonyms that are rare in pre-training, so that a model knows them less well.
SYNONYMS = {
    "circle": "disc",
    "oval": "ellipse",
    "square": "box",
    "diamond": "rhombus",
    "star": "asterisk",
    "cross": "plus",
    "ring": "donut",
    "crescent": "moon",
    "arrow": "pointer",
    "drop": "tear",
    "bolt": "lightning",
    "flower": "blossom",
    "gear": "cog",
    "hourglass": "timer",
    "house": "home",
    "tree": "pine",
    "mushroom": "toadstool",
    "umbrella": "parasol",
    "crown": "tiara",
    "boat": "ship",
    "bottle": "flask",
    "hammer": "mallet",
    "striped": "lined",
    "dotted": "spotted",
    "checkered": "chequered",
    "speckled": "grainy",
    "wavy": "curly",
    "plain": "smooth",
}
_SYNONYM_RATE = 0.04

_Spatial = tuple[str, str]
_RELATIONS: dict[str, tuple[_Spatial, _Spatial]] = {
    # A relation between the first and the second object, and its converse.
    "above": (("a {} above a {}", "a {} over a {}"), ("a {} below a {}", "a {} under a {}")),
    "left": (
        ("a {} left of a {}", "a {} to the left of a {}"),
        ("a {} right of a {}", "a {} to the right of a {}"),
    ),
}


def plural(noun: str) -> str:
    """Return the plural of a noun of this language."""
    if noun == "fish":
        return noun
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


def _spoken(word: str, rng: random.Random) -> str:
    if word in SYNONYMS and rng.random() < _SYNONYM_RATE:
        return SYNONYMS[word]
    return word


def object_caption(
    rng: random.Random,
    *,
    shape: str | None = None,
    colour: str | None = None,
    texture: str | None = None,
    size: str | None = None,
    place: str | None = None,
    ground: str | None = None,
    style: int = 0,
) -> str:
    """Return a caption of one object that names only the given attributes."""
    words = [size, colour, _spoken(texture, rng) if texture else None]
    noun = _spoken(shape, rng) if shape else rng.choice(_NOUNS)
    phrase = " ".join([*(word for word in words if word), noun])
    phrase = rng.choice(_STYLES[style]).format(phrase)
    if place:
        phrase += f" at the {place}"
    if ground:
        phrase += f" on a {ground} background"
    return _fill(phrase, rng, TEMPLATES)


def _fill(phrase: str, rng: random.Random, templates: Sequence[str]) -> str:
    # The plain template is the one that tasks use most.
    template = templates[0] if rng.random() < 0.25 else rng.choice(templates)
    return template.replace("{}", phrase)


def count_caption(rng: random.Random, number: int, shape: str | None) -> str:
    """Return a caption such as "a photo of three stars." (``number`` counts from one)."""
    noun = _spoken(shape, rng) if shape else rng.choice(_NOUNS)
    name = NUMBER_NAMES[number - 1]
    phrase = f"{name} {noun if number == 1 else plural(noun)}"
    return _fill(phrase, rng, _PLURAL_TEMPLATES)


def relation_caption(rng: random.Random, relation: str, first: str, second: str) -> str:
    """Return a caption of two objects; ``relation`` is ``above`` or ``left`` (first of second)."""
    straight, converse = _RELATIONS[relation]
    if rng.random() < 0.5:
        phrase = rng.choice(straight).format(first, second)
    else:
        phrase = rng.choice(converse).format(second, first)
    return _fill(phrase, rng, _PLURAL_TEMPLATES)


def glyph_caption(rng: random.Random, character: str) -> str:
    """Return a caption of a digit ("the digit five") or of a letter ("the letter b")."""
    if character in DIGITS:
        name = DIGIT_NAMES[int(character)]
        kind = "digit" if rng.random() < 0.75 else "number"
        if rng.random() < _SYNONYM_RATE:
            name = character
    else:
        name, kind = character, "letter"
    templates = _GLYPH_TEMPLATES
    template = templates[0] if rng.random() < 0.25 else rng.choice(templates)
    return template.format(kind=kind, name=name)


def every_word() -> list[str]:
    """Return texts that together contain every word of all captions, in a fixed order."""
    texts = list(TEMPLATES + _PLURAL_TEMPLATES + _GLYPH_TEMPLATES)
    texts += [text for style in _STYLES for text in style]
    texts += [text for pair in _RELATIONS.values() for side in pair for text in side]
    texts += [*SHAPES, *COLOURS, *TEXTURES, *SYNONYMS.values(), *PLACES, *_NOUNS]
    texts += [plural(noun) for noun in (*SHAPES, *SYNONYMS.values(), *_NOUNS)]
    texts += [*DIGIT_NAMES, *DIGITS, *LETTERS, "digit", "number", "letter", "small", "large"]
    texts += ["on a background", "at the", ", : \" ' . - !", "tiny huge big"]
    return [text.replace("{kind}", " ").replace("{name}", " ").replace("{}", " ") for text in texts]
