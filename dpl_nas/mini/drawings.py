"""Sampling of drawings from the gallery and of their captions, for pre-training.

A picture has phrases: its name, its tags, its subgroup and its group. A batch draws one phrase for
each picture; a caption is right for all pictures of the batch that have its phrase.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dpl_nas.gallery import find_training_pictures, load_gallery
from dpl_nas.gallery.captures import capture
from dpl_nas.gallery.picture import Picture
from dpl_nas.mini.batch import UNTOLD, Batch
from dpl_nas.mini.render import IMAGE_SIZE
from dpl_nas.mini.restyle import restyle

__all__ = [
    "Drawings",
    "every_name",
    "every_phrase",
    "find_emoji",
    "load_drawings",
    "phrases_of",
    "sample_drawings",
]

_TEMPLATES = (
    "a picture of a {}.",
    "a photo of a {}.",
    "a {}.",
    "{}",
    "a picture of {}.",
    "a photo of {}.",
    "{}.",
    "an image of a {}.",
    "a drawing of a {}.",
    "a picture of the {}.",
    "a picture of one {}.",
    "this is a {}.",
    "a photo of the {}.",
    "a good photo of a {}.",
    "a photo of a small {}.",
    "a small picture of {}.",
)
#: A name with its subgroup says more.
_OF_A_KIND = (
    "a picture of {}, a kind of {kind}.",
    "a photo of a {}, a kind of {kind}.",
    "a picture of a {kind}: {}.",
)
#: Shares of what captions tell: the name, a tag, the subgroup, the group.
_TOLD = (0.62, 0.18, 0.15, 0.05)
_KIND_RATE = 0.12
#: Share of the batches whose pictures are all of one group, where a group says nothing.
_HARD = 0.5
_CLIP_ART, _CLIP_ART_SHARE = "openclipart", 0.2
#: Tags that say how a clip art is filed.
_FILED = frozenset(
    {"action", "application", "computer", "icon", "icons", "lemon theme icon", "stock", "theme"}
)
#: Groups whose pictures mean the same in a mirror.
_MIRRORED = frozenset({"animals-nature", "food-drink", "smileys-emotion"})


@dataclass(frozen=True)
class Drawings:
    """The pictures that pre-training may see, and their phrases.

    Attributes
    ----------
    thumbnails
        RGBA pixels ``(n, s, s, 4)``, uint8.
    phrases
        All phrases of each picture, its name first.
    kinds
        The subgroup of each picture, in words.
    names, subgroups
        Index of each picture's name and subgroup, ``(n,)``, or `UNTOLD`.
    weights
        How often each is drawn.
    groups
        The pictures of each group, by its name, if there are enough.
    mirrored
        Whether each means the same in a mirror.
    """

    thumbnails: Tensor
    phrases: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    names: Tensor
    subgroups: Tensor
    weights: Tensor
    groups: Mapping[str, Tensor]
    mirrored: Tensor

    @property
    def facts(self) -> dict[str, int]:
        """The facts of the pictures and the number of their values."""
        return {"name": int(self.names.max()) + 1, "subgroup": int(self.subgroups.max()) + 1}


def _words(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("-", " ").lower().split())


def _kind(picture: Picture) -> str:
    """Return a subgroup in words: "food-asian" is "asian food"."""
    if picture.style == _CLIP_ART:
        return ""
    whole, _, part = picture.subgroup.partition("-")
    return _words(f"{part} {whole}")


def phrases_of(picture: Picture) -> tuple[str, ...]:
    """Return what captions may say of a picture: its name first, then tags, subgroup and group."""
    name = _words(picture.name)
    tags = [_words(tag) for tag in picture.tags if tag not in _FILED]
    groups = [] if picture.style == _CLIP_ART else [_kind(picture), _words(picture.group)]
    return tuple(dict.fromkeys(phrase for phrase in (name, *tags, *groups) if phrase))


@cache
def load_drawings() -> Drawings:
    """Return the pictures that pre-training may see: about 50 MB."""
    gallery = load_gallery("pictures")
    places = find_training_pictures(gallery)
    pictures = [gallery.pictures[place] for place in places]
    names = {name: i for i, name in enumerate(sorted({_words(p.name) for p in pictures}))}
    kinds = sorted({_kind(p) for p in pictures} - {""})
    groups: dict[str, list[int]] = {}
    for place, picture in enumerate(pictures):
        groups.setdefault(_CLIP_ART if picture.style == _CLIP_ART else picture.group, []).append(
            place
        )
    return Drawings(
        thumbnails=torch.from_numpy(gallery.thumbnails(places)),
        phrases=tuple(phrases_of(p) for p in pictures),
        kinds=tuple(_kind(p) for p in pictures),
        names=torch.tensor([names[_words(p.name)] for p in pictures]),
        subgroups=torch.tensor([kinds.index(k) if k else UNTOLD for k in map(_kind, pictures)]),
        weights=_weights(pictures),
        groups={name: torch.tensor(rows) for name, rows in sorted(groups.items())},
        mirrored=torch.tensor([p.group in _MIRRORED for p in pictures]),
    )


def _weights(pictures: Sequence[Picture]) -> Tensor:
    """Return weights by which each drawing is drawn as often, whatever its tones and genders."""
    counts = Counter((p.style, p.drawing) for p in pictures)
    weights = torch.tensor([1 / counts[p.style, p.drawing] for p in pictures])
    art = torch.tensor([p.style == _CLIP_ART for p in pictures])
    weights[art] *= _CLIP_ART_SHARE / weights[art].sum()
    weights[~art] *= (1 - _CLIP_ART_SHARE) / weights[~art].sum()
    return weights


def find_emoji() -> list[int]:
    """Return the places of one picture of each name of an emoji, ascending."""
    drawings = load_drawings()
    firsts: dict[int, int] = {}
    for place, name in enumerate(drawings.names.tolist()):
        if drawings.kinds[place]:
            firsts.setdefault(name, place)
    return sorted(firsts.values())


def every_phrase() -> list[str]:
    """Return all phrases of all pictures, in a fixed order."""
    return [*dict.fromkeys(said for phrases in load_drawings().phrases for said in phrases)]


def every_name() -> list[str]:
    """Return all names and subgroups of emoji and all templates, in a fixed order.

    Their tokens get rows of their own. Tags, and names of clip art, which are many and used once,
    are left to the vectors of words.
    """
    drawings = load_drawings()
    told = zip(drawings.phrases, drawings.kinds, strict=True)
    texts = dict.fromkeys(text for phrases, kind in told if kind for text in (phrases[0], kind))
    templates = [t.replace("{kind}", " ").replace("{}", " ") for t in (*_TEMPLATES, *_OF_A_KIND)]
    return [*texts, *templates]


def sample_drawings(size: int, seed: int) -> Batch:
    """Return a batch of captures of ``size`` drawings.

    Parameters
    ----------
    seed
        Seed of everything.
    """
    drawings = load_drawings()
    generator = torch.Generator().manual_seed(seed)
    rng = random.Random(seed)
    rows = _draw(drawings, size, rng, generator)
    thumbnails = drawings.thumbnails[rows].clone()
    turned = drawings.mirrored[rows] & (torch.rand(size, generator=generator) < 0.5)
    thumbnails[turned] = thumbnails[turned].flip(2)
    images = capture(restyle(thumbnails, generator), IMAGE_SIZE, generator)
    captions, owned, told = _caption(drawings, rows.tolist(), rng)
    fits = torch.tensor(
        [[phrase in drawings.phrases[i] for phrase in owned] for i in rows.tolist()]
    )
    facts = {"name": drawings.names[rows], "subgroup": drawings.subgroups[rows]}
    return Batch(images, captions, fits, facts, told)


def _draw(drawings: Drawings, size: int, rng: random.Random, generator: torch.Generator) -> Tensor:
    if rng.random() >= _HARD:
        return torch.multinomial(drawings.weights, size, replacement=True, generator=generator)
    names = list(drawings.groups)
    masses = [float(drawings.weights[drawings.groups[name]].sum()) for name in names]
    group = drawings.groups[rng.choices(names, masses)[0]]
    weights = drawings.weights[group]
    return group[torch.multinomial(weights, size, replacement=True, generator=generator)]


def _caption(
    drawings: Drawings, rows: Sequence[int], rng: random.Random
) -> tuple[list[str], list[str], dict[str, Tensor]]:
    """Return captions, the phrase of each, and the facts that they tell."""
    captions: dict[str, str] = {}
    names, subgroups = [], []
    # Mostly, all captions of a batch have one template, which then tells nothing.
    alike = rng.choice(_TEMPLATES) if rng.random() < 0.5 else None
    for row in rows:
        name, kind = drawings.phrases[row][0], drawings.kinds[row]
        told = rng.choices(("name", "tag", "kind", "group"), _TOLD)[0]
        tags = [tag for tag in drawings.phrases[row][1:] if tag != kind]
        phrase = name
        if told == "tag" and tags:
            phrase = rng.choice(tags[:-1] or tags)
        elif told == "kind" and kind:
            phrase = kind
        elif told == "group" and kind:
            phrase = drawings.phrases[row][-1]
        if phrase in captions:
            continue
        template = alike or rng.choice(_TEMPLATES)
        if phrase == name and kind and rng.random() < _KIND_RATE:
            template = rng.choice(_OF_A_KIND).replace("{kind}", kind)
        captions[phrase] = template.replace("{}", phrase)
        names.append(int(drawings.names[row]) if phrase == name else UNTOLD)
        subgroups.append(int(drawings.subgroups[row]) if phrase in (name, kind) else UNTOLD)
    told_facts = {"name": torch.tensor(names), "subgroup": torch.tensor(subgroups)}
    return list(captions.values()), list(captions), told_facts
