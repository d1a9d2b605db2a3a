"""The classes of the tasks of kinds: which pictures belong to which class.

A class is chosen by words: the name of an emoji, ``:subgroup`` of emoji, or ``/folder`` of clip
art (with all folders below). Class names are English nouns that go after "a".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dpl_nas.gallery.picture import Picture

__all__ = ["ANIMALS", "CLIP_ART", "FACES", "OBJECTS", "OBJECTS_AS_CLIP_ART", "VEHICLES", "Classes"]

#: Belongs to no class.
_LEFT_OUT = ("/tools/weapons",)


class Classes:
    """The classes of a task, by name, and what chooses their pictures."""

    def __init__(self, chosen: Mapping[str, tuple[str, ...]]) -> None:
        self.names = tuple(sorted(chosen))
        self._owners: dict[str, str | None] = dict.fromkeys(_LEFT_OUT)
        self._owners |= {word: name for name, words in chosen.items() for word in words}

    def of(self, picture: Picture) -> str | None:
        """Return the name of a picture's class, if it has one: the most particular word counts."""
        if picture.style == "openclipart":
            folders = picture.code.split("/")[:-1]
            words = ["/" + "/".join(folders[:end]) for end in range(len(folders), 0, -1)]
        else:
            words = [picture.name, f":{picture.subgroup}"]
        return next((self._owners[word] for word in words if word in self._owners), None)


#: Unicode's subgroups with nine things or more: no people, faces or flags.
OBJECTS = Classes(
    MappingProxyType(
        {
            "Asian dish": (":food-asian",),
            "aircraft": (":transport-air",),
            "arrow": (":arrow",),
            "bird": (":animal-bird",),
            "book": (":book-paper",),
            "building": (":place-building",),
            "camera or lamp": (":light-video",),
            "celebration": (":event",),
            "clock": (":time",),
            "computer": (":computer",),
            "drink": (":drink",),
            "flower": (":plant-flower",),
            "fruit": (":food-fruit",),
            "game": (":game",),
            "geometric shape": (":geometric",),
            "heart": (":heart",),
            "household item": (":household",),
            "insect": (":animal-bug",),
            "keycap": (":keycap",),
            "land vehicle": (":transport-ground",),
            "landscape": (":place-geographic",),
            "letter button": (":alphanum",),
            "letter or parcel": (":mail",),
            "mammal": (":animal-mammal",),
            "meal": (":food-prepared",),
            "musical instrument": (":musical-instrument",),
            "office supply": (":office",),
            "piece of clothing": (":clothing",),
            "piece of money": (":money",),
            "plant": (":plant-other",),
            "player button": (":av-symbol",),
            "prohibition or warning sign": (":warning",),
            "public sign": (":transport-sign",),
            "religious symbol": (":religion",),
            "sea animal": (":animal-marine",),
            "ship": (":transport-water",),
            "sight": (":place-other",),
            "sound or music symbol": (":sound", ":music"),
            "sweet": (":food-sweet",),
            "thing of sports": (":sport",),
            "thing of the sky": (":sky-weather",),
            "tool": (":tool",),
            "vegetable": (":food-vegetable",),
            "zodiac sign": (":zodiac",),
        }
    )
)

#: The same classes in Open Clip Art, where it has a folder for one.
OBJECTS_AS_CLIP_ART = Classes(
    MappingProxyType(
        {
            "arrow": ("/shapes/arrows",),
            "bird": ("/animals/birds",),
            "book": ("/education/books",),
            "building": ("/buildings", "/buildings/homes"),
            "clock": ("/signs_and_symbols/clocks",),
            "computer": ("/computer/hardware",),
            "drink": ("/food/beverages",),
            "flower": ("/plants/flowers",),
            "fruit": ("/food/fruit",),
            "game": ("/recreation/games", "/recreation/toys"),
            "insect": ("/animals/bugs",),
            "mammal": ("/animals/mammals",),
            "meal": ("/food/meats_and_eggs", "/food/breads_and_carbs"),
            "musical instrument": ("/recreation/music",),
            "piece of clothing": ("/people/clothing",),
            "piece of money": ("/signs_and_symbols/money",),
            "plant": ("/plants/trees",),
            "player button": ("/computer/buttons",),
            "public sign": ("/signs_and_symbols/map_symbols",),
            "sea animal": ("/animals/fish",),
            "ship": ("/transportation/boating",),
            "sweet": ("/food/desserts",),
            "thing of sports": ("/recreation/sports",),
            "thing of the sky": ("/geography/astronomy", "/signs_and_symbols/weather"),
            "tool": ("/tools",),
            "vegetable": ("/food/vegetables",),
        }
    )
)

CLIP_ART = Classes(
    MappingProxyType(
        {
            "arrow": ("/shapes/arrows",),
            "bird": ("/animals/birds",),
            "boat": ("/transportation/boating",),
            "body part": ("/people/bodypart",),
            "book": ("/education/books",),
            "bread or pasta": ("/food/breads_and_carbs",),
            "building": ("/buildings",),
            "button": ("/computer/buttons",),
            "computer part": ("/computer/hardware",),
            "dessert": ("/food/desserts",),
            "dinosaur": ("/animals/dinosaurs",),
            "drink": ("/food/beverages",),
            "fish": ("/animals/fish",),
            "flower": ("/plants/flowers",),
            "fruit": ("/food/fruit",),
            "hat": ("/people/clothing/hats",),
            "house": ("/buildings/homes",),
            "insect": ("/animals/bugs",),
            "mammal": ("/animals/mammals",),
            "map": ("/geography",),
            "map symbol": ("/signs_and_symbols/map_symbols",),
            "meat or egg dish": ("/food/meats_and_eggs",),
            "musical instrument": ("/recreation/music",),
            "piece of clothing": ("/people/clothing",),
            "planet or moon": ("/geography/astronomy",),
            "road sign": ("/transportation/roadsigns",),
            "smiley": ("/people/smilies",),
            "speech bubble": ("/shapes/callouts",),
            "stick figure": ("/people/stickmen",),
            "thing of sports": ("/recreation/sports",),
            "tool": ("/tools",),
            "toy": ("/recreation/toys",),
            "vehicle": ("/transportation/vehicles",),
            "weather symbol": ("/signs_and_symbols/weather",),
        }
    )
)

ANIMALS = Classes(
    MappingProxyType(
        {
            "bear": ("bear", "polar bear", "koala", "panda"),
            "big cat": ("lion", "tiger face", "tiger", "leopard"),
            "bird": (
                "bird",
                "black bird",
                "dove",
                "duck",
                "eagle",
                "flamingo",
                "goose",
                "owl",
                "parrot",
                "peacock",
                "penguin",
                "swan",
            ),
            "cat": ("cat", "black cat", "cat face", ":cat-face"),
            "chicken": (
                "chicken",
                "rooster",
                "hatching chick",
                "baby chick",
                "front-facing baby chick",
            ),
            "cow": ("cow face", "cow", "ox", "water buffalo", "bison"),
            "dog": ("dog face", "dog", "guide dog", "service dog", "poodle", "wolf", "fox"),
            "fish": ("fish", "tropical fish", "blowfish", "shark"),
            "horse": ("horse face", "horse", "unicorn", "zebra", "donkey"),
            "insect": (
                "ant",
                "beetle",
                "bug",
                "butterfly",
                "cockroach",
                "cricket",
                "fly",
                "honeybee",
                "lady beetle",
                "mosquito",
            ),
            "monkey": ("monkey face", "monkey", "gorilla", "orangutan", ":monkey-face"),
            "pig": ("pig face", "pig", "boar"),
            "reptile": ("crocodile", "lizard", "sauropod", "snake", "T-Rex", "turtle"),
            "rodent": (
                "beaver",
                "chipmunk",
                "hamster",
                "mouse",
                "mouse face",
                "rabbit",
                "rabbit face",
                "rat",
            ),
            "sheep or goat": ("ewe", "goat", "ram"),
            "shellfish": ("crab", "lobster", "oyster", "shrimp", "spiral shell"),
            "whale": ("dolphin", "orca", "seal", "spouting whale", "whale"),
        }
    )
)

VEHICLES = Classes(
    MappingProxyType(
        {
            "airplane": (
                "airplane",
                "airplane arrival",
                "airplane departure",
                "small airplane",
            ),
            "bus": ("bus", "minibus", "oncoming bus", "trolleybus"),
            "cable car": ("aerial tramway", "mountain cableway", "suspension railway"),
            "car": (
                "automobile",
                "oncoming automobile",
                "oncoming police car",
                "oncoming taxi",
                "police car",
                "racing car",
                "sport utility vehicle",
                "taxi",
            ),
            "cycle": ("auto rickshaw", "bicycle", "kick scooter", "motor scooter", "motorcycle"),
            "ship": (
                "canoe",
                "ferry",
                "motor boat",
                "passenger ship",
                "sailboat",
                "ship",
                "speedboat",
            ),
            "spacecraft": ("flying saucer", "rocket", "satellite"),
            "train": (
                "bullet train",
                "high-speed train",
                "light rail",
                "locomotive",
                "metro",
                "monorail",
                "mountain railway",
                "railway car",
                "train",
                "tram",
                "tram car",
            ),
            "truck": (
                "ambulance",
                "articulated lorry",
                "delivery truck",
                "fire engine",
                "pickup truck",
                "tractor",
            ),
        }
    )
)

FACES = Classes(
    MappingProxyType(
        {
            "affectionate face": (":face-affection",),
            "angry face": (
                "angry face",
                "angry face with horns",
                "enraged face",
                "face with steam from nose",
                "face with symbols on mouth",
            ),
            "cat face": (":cat-face",),
            "costume or creature": (":face-costume",),
            "face with a hand": (":face-hand",),
            "face with its tongue out": (":face-tongue",),
            "heart": (":heart",),
            "monkey face": (":monkey-face",),
            "sceptical face": (":face-neutral-skeptical",),
            "sick face": (":face-unwell",),
            "sleepy face": (":face-sleepy",),
            "smiling face": (":face-smiling",),
            "worried face": (":face-concerned",),
        }
    )
)
