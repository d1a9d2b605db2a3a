"""Zero-shot accuracy of the embedded CLIP on images that pre-training never drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from open_clip.model import CLIP
from torch import Tensor
from torch.nn import functional

from dpl_nas.gallery.captures import capture
from dpl_nas.mini.captions import DIGIT_NAMES, NUMBER_NAMES, plural
from dpl_nas.mini.drawings import find_emoji, load_drawings
from dpl_nas.mini.model import IMAGE_MEAN, IMAGE_STD, mini_tokenizer
from dpl_nas.mini.render import COLOURS, IMAGE_SIZE, TEXTURES
from dpl_nas.mini.scenes import (
    GLYPH_VARIETY,
    Variety,
    counted,
    glyphs,
    paint,
    pairs,
    singles,
)
from dpl_nas.mini.silhouettes import BASIC_SHAPES, DIGITS, RARE_SHAPES, SHAPES

__all__ = ["GATES", "GateReport", "measure_gates", "normalize", "zero_shot_accuracies"]

#: Minimum zero-shot accuracy of a model that may be shipped.
GATES: Mapping[str, float] = MappingProxyType(
    {"basic shapes": 0.75, "rare shapes": 0.50, "drawings": 0.50}
)
#: A seed beyond those of pre-training, whose batches are numbered from zero.
_SEED = 2**40
#: Number of the drawings that are told apart by name, about.
_DRAWINGS = 200

EncodeText = Callable[[Sequence[str]], Tensor]
EncodeImage = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GateReport:
    """Zero-shot accuracies by probe, and the gates that they must reach.

    Attributes
    ----------
    accuracies
        Share of right answers by probe, 0..1.
    chance
        Accuracy of guessing by probe.
    gates
        Minimum accuracy of each probe that has a gate.
    """

    accuracies: Mapping[str, float]
    chance: Mapping[str, float]
    gates: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether all gates are reached."""
        return all(self.accuracies[name] >= gate for name, gate in self.gates.items())


def normalize(images: Tensor) -> Tensor:
    """Normalise images ``(b, 3, h, w)`` in 0..1 of the right size as `mini_preprocess` does."""
    mean = torch.tensor(IMAGE_MEAN).view(3, 1, 1)
    return (images - mean) / torch.tensor(IMAGE_STD).view(3, 1, 1)


_Probe = Callable[[Tensor, torch.Generator], Tensor]


def _probes() -> dict[str, tuple[list[str], _Probe]]:
    """Return the class captions and the renderer of labels of every probe."""
    photo = "a photo of a {}."

    def shapes(names: Sequence[str]) -> tuple[list[str], _Probe]:
        captions = [photo.format(name) for name in names]
        return captions, lambda y, g: singles(y, Variety(), g, names)

    def count(y: Tensor, g: torch.Generator) -> Tensor:
        shape = torch.full_like(y, SHAPES.index("circle"))
        return counted(y + 1, shape, Variety(textured=0.15, styles=(1.0, 0.0, 0.0)), g)

    def relation(y: Tensor, g: torch.Generator) -> Tensor:
        star, ring = SHAPES.index("star"), SHAPES.index("square")
        swap = y % 2 == 1
        first, second = torch.where(swap, ring, star), torch.where(swap, star, ring)
        return pairs(first, second, y // 2, Variety(textured=0.25, styles=(1.0, 0.0, 0.0)), g)

    relations = [
        "a photo of a star above a square.",
        "a photo of a star below a square.",
        "a photo of a star left of a square.",
        "a photo of a star right of a square.",
    ]
    counts = [
        f"a photo of {n} {plural('circle') if i else 'circle'}." for i, n in enumerate(NUMBER_NAMES)
    ]
    return {
        "basic shapes": shapes(BASIC_SHAPES),
        "rare shapes": shapes(RARE_SHAPES),
        "all shapes": shapes(SHAPES),
        "digits": (
            [f"a photo of the digit {name}." for name in DIGIT_NAMES],
            lambda y, g: glyphs(y, DIGITS, GLYPH_VARIETY, g),
        ),
        "counts": (counts, count),
        "relations": (relations, relation),
        "textures": (
            [f"a photo of a {name} object." for name in TEXTURES],
            lambda y, g: paint(g, textures=y),
        ),
        "colours": (
            [f"a photo of a {name} object." for name in COLOURS],
            lambda y, g: paint(g, colours=y),
        ),
        "drawings": _drawings(),
    }


def _drawings() -> tuple[list[str], _Probe]:
    """Return captions of some drawings that pre-training saw, and what captures them anew."""
    places = find_emoji()
    chosen = torch.tensor(places[:: len(places) // _DRAWINGS])
    thumbnails = load_drawings().thumbnails[chosen]
    captions = [f"a picture of a {load_drawings().phrases[i][0]}." for i in chosen.tolist()]
    return captions, lambda y, g: capture(thumbnails[y], IMAGE_SIZE, g)


@torch.no_grad()
def zero_shot_accuracies(
    encode_image: EncodeImage, encode_text: EncodeText, images: int = 512
) -> tuple[dict[str, float], dict[str, float]]:
    """Return accuracy and chance of every probe.

    Parameters
    ----------
    encode_image
        Function from images ``(b, 3, 32, 32)`` in 0..1 to features ``(b, d)``.
    encode_text
        Function from captions to features ``(m, d)``.
    images
        Number of images per probe, the same ones at every call.
    """
    accuracies, chance = {}, {}
    for offset, (name, (captions, draw)) in enumerate(_probes().items()):
        generator = torch.Generator().manual_seed(_SEED + offset)
        labels = torch.arange(images) % len(captions)
        text = functional.normalize(encode_text(captions), dim=-1)
        image = functional.normalize(encode_image(draw(labels, generator)), dim=-1)
        hits = (image @ text.T).argmax(dim=1) == labels
        accuracies[name] = hits.float().mean().item()
        chance[name] = 1 / len(captions)
    return accuracies, chance


def measure_gates(model: CLIP, images: int = 1024) -> GateReport:
    """Measure zero-shot accuracies of ``model`` on ``images`` held-out renders per probe."""
    tokens = mini_tokenizer()
    accuracies, chance = zero_shot_accuracies(
        lambda pixels: model.encode_image(normalize(pixels)),
        lambda captions: model.encode_text(tokens(list(captions))),
        images,
    )
    return GateReport(accuracies, chance, GATES)
