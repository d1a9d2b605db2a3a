"""The tasks of real pictures: their classes, styles, and what is unseen in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from dpl_nas.gallery.picture import Picture
from dpl_nas.tasks.gallery.classes import (
    ANIMALS,
    CLIP_ART,
    FACES,
    OBJECTS,
    OBJECTS_AS_CLIP_ART,
    VEHICLES,
    Classes,
)

__all__ = ["PHOTOS", "RECIPES", "Level", "Recipe", "Variant"]

#: What the embedded CLIP has not seen: the style of the drawings, the group of the classes in any
#: style, or any picture of the source.
Level = Literal["style", "classes", "source"]

_UNSEEN = ("fluent", "openmoji", "emojione")
_A = "a picture of a {}."


@dataclass(frozen=True)
class Variant:
    """Another test set for the classes of a task; the shots are the same.

    Attributes
    ----------
    about
        A line about it.
    styles
        Who drew its pictures.
    part
        The part of the concepts that it shows, one of `Recipe.parts`; ``None`` for all that the
        shots do not show.
    classify
        The class of a picture, if another rule than the task's.
    """

    about: str
    styles: tuple[str, ...]
    part: int | None = None
    classify: Callable[[Picture], str | None] | None = None


@dataclass(frozen=True)
class Recipe:
    """A task.

    Attributes
    ----------
    about
        A line about it.
    level
        What is unseen in it.
    classify
        The name of a picture's class, if it has one.
    styles
        Who drew the pictures of the shots.
    test_styles
        Who drew those of the test set, if others did.
    by_turns
        Whether shots and test show the same concepts, but each by other artists: one of a
        concept's drawings is for the test, and whose it is changes from concept to concept. If
        neither this nor ``test_styles`` is given, shots and test show different concepts.
    template
        A caption with one ``{}``.
    parts
        Relative sizes of the parts that the concepts of a class are split into: the shots, the
        test set, variants.
    together
        Whether a concept is in the same part for all classes, as in a task of styles.
    variants
        Further test sets, by what is added to the name.
    """

    about: str
    level: Level
    classify: Callable[[Picture], str | None]
    styles: tuple[str, ...]
    test_styles: tuple[str, ...] = ()
    by_turns: bool = False
    template: str = _A
    parts: tuple[int, ...] = (1, 1)
    together: bool = False
    variants: Mapping[str, Variant] = field(default_factory=dict)


def _kinds(about: str, classes: Classes) -> Recipe:
    return Recipe(about, "style", classes.of, _UNSEEN, by_turns=True)


#: Better names of some emoji, as classes.
_RENAMED = MappingProxyType(
    {
        "building construction": "construction site",
        "camping": "campsite",
        "cooking": "fried egg in a pan",
        "foggy": "bridge in the fog",
        "hot beverage": "hot drink",
        "kaaba": "Kaaba",
        "mount fuji": "Mount Fuji",
        "nail polish": "painting nails",
        "selfie": "taking a selfie",
        "shallow pan of food": "pan of food",
        "wedding": "wedding chapel",
    }
)


def _named(*subgroups: str) -> Callable[[Picture], str | None]:
    """Classify by the picture's own name, in some subgroups of emoji."""
    chosen = frozenset(subgroups)

    def classify(picture: Picture) -> str | None:
        return _RENAMED.get(picture.name, picture.name) if picture.subgroup in chosen else None

    return classify


#: What somebody's name begins with.
_SOMEBODY = ("man ", "men ", "people ", "person ", "woman ", "women ")
_DOINGS = MappingProxyType(
    {
        "biking": "riding a bike",
        "bouncing ball": "bouncing a ball",
        "gesturing NO": "saying no",
        "gesturing OK": "saying OK",
        "getting haircut": "getting a haircut",
        "getting massage": "getting a massage",
        "horse racing": "racing a horse",
        "mountain biking": "riding a mountain bike",
        "raising hand": "raising a hand",
        "rowing boat": "rowing a boat",
        "skier": "skiing",
        "snowboarder": "snowboarding",
        "tipping hand": "tipping a hand",
        "with bunny ears": "wearing bunny ears",
    }
)


def _act(picture: Picture) -> str | None:
    if picture.subgroup not in {"person-activity", "person-gesture", "person-sport"}:
        return None
    name = picture.name.partition(":")[0]
    for somebody in _SOMEBODY:
        name = name.removeprefix(somebody)
    return _DOINGS.get(name, name)


_PROFESSIONS = frozenset(
    {
        "artist",
        "astronaut",
        "construction worker",
        "cook",
        "detective",
        "factory worker",
        "farmer",
        "firefighter",
        "guard",
        "health worker",
        "judge",
        "mechanic",
        "ninja",
        "office worker",
        "pilot",
        "police officer",
        "scientist",
        "singer",
        "student",
        "teacher",
        "technologist",
    }
)


def _work(picture: Picture) -> str | None:
    name = picture.name.removeprefix("woman ").removeprefix("man ")
    return name if picture.subgroup == "person-role" and name in _PROFESSIONS else None


def _sign(picture: Picture) -> str | None:
    if not picture.subgroup.startswith("hand") or picture.name == "middle finger":
        return None
    return _RENAMED.get(picture.name, picture.name)


#: ISO 3166's codes of the countries of Europe. All countries of the world would be 248 classes,
#: and its measurement takes a day.
_EUROPE = (
    "AD AL AT BA BE BG BY CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MC MD ME MK "
    "MT NL NO PL PT RO RS RU SE SI SK SM TR UA VA XK"
)
_FIRST_INDICATOR = 0x1F1E6


def _country(picture: Picture) -> str | None:
    if picture.subgroup != "country-flag":
        return None
    # An emoji of a flag is its country's code, in letters of their own.
    letters = [int(point, 16) - _FIRST_INDICATOR for point in picture.code.split("-")]
    if "".join(chr(ord("A") + letter) for letter in letters) not in _EUROPE.split():
        return None
    return picture.name.removeprefix("flag: ").replace(" & ", " and ")


_STYLES = MappingProxyType(
    {
        "emojione": "flat drawing",
        "fluent": "three-dimensional rendering",
        "openmoji": "coloured drawing with outlines",
        "openmoji_black": "black line drawing",
    }
)


def _style(picture: Picture) -> str | None:
    # What is black in every style has none to tell.
    if picture.tone or picture.group in {"flags", "symbols", "component"}:
        return None
    return _STYLES.get(picture.style)


RECIPES: MappingProxyType[str, Recipe] = MappingProxyType(
    {
        "objects": Recipe(
            "44 kinds of things, after Unicode's subgroups",
            "style",
            OBJECTS.of,
            ("fluent", "openmoji"),
            parts=(2, 1, 1),
            variants=MappingProxyType(
                {
                    "v2": Variant("more things in the same styles", ("fluent", "openmoji"), 2),
                    "sketch": Variant("black line drawings", ("openmoji_black",)),
                    "r": Variant("drawings in another style", ("emojione",)),
                    "a": Variant(
                        "clip art of 26 of the kinds",
                        ("openclipart",),
                        None,
                        OBJECTS_AS_CLIP_ART.of,
                    ),
                }
            ),
        ),
        "clipart": Recipe("34 folders of clip art", "source", CLIP_ART.of, ("openclipart",)),
        "animals": _kinds("17 kinds of animals", ANIMALS),
        "vehicles": _kinds("9 kinds of vehicles", VEHICLES),
        "flags": Recipe(
            "flags of European countries, tested on another artist's",
            "classes",
            _country,
            ("noto", "twemoji"),
            ("openmoji", "emojione"),
            template="a picture of the flag of {}.",
        ),
        "food": Recipe(
            "food and drinks, tested on another artist's",
            "style",
            _named(
                "drink",
                "food-asian",
                "food-fruit",
                "food-prepared",
                "food-sweet",
                "food-vegetable",
            ),
            ("fluent", "openmoji"),
            ("emojione",),
            template="a picture of {}, a kind of food or drink.",
        ),
        "faces": _kinds("13 kinds of faces", FACES),
        "places": Recipe(
            "buildings, landscapes and sights, tested on another artist's",
            "style",
            _named("place-building", "place-geographic", "place-other", "place-religious"),
            ("fluent", "openmoji"),
            ("emojione",),
            template="a picture of a place: {}.",
        ),
        "styles": Recipe(
            "4 ways to draw, of other things than in the shots",
            "classes",
            _style,
            ("emojione", "fluent", "openmoji", "openmoji_black"),
            template="a {}.",
            together=True,
        ),
        "actions": Recipe(
            "what people do, tested on another artist's",
            "style",
            _act,
            ("fluent", "openmoji"),
            ("emojione",),
            template="a picture of somebody {}.",
        ),
        "hands": Recipe(
            "hand signs, tested on another artist's",
            "classes",
            _sign,
            ("noto", "twemoji", "fluent"),
            ("openmoji", "emojione"),
            template="a picture of a hand: {}.",
        ),
        "professions": Recipe(
            "21 professions, tested on another artist's",
            "classes",
            _work,
            ("noto", "twemoji", "fluent"),
            ("openmoji", "emojione"),
        ),
    }
)

#: The task of photographs; none of its pictures is in the gallery.
PHOTOS = Recipe(
    "10 kinds of photographed things, where tuxpaint-stamps-default is installed",
    "source",
    lambda _: None,
    (),
    template="a photo of a {}.",
)
