"""Image sets of captures: drawings that are laid down anew for every image."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dpl_nas.gallery.captures import capture
from dpl_nas.mini.render import IMAGE_SIZE
from dpl_nas.seeds import derive_seed
from dpl_nas.tasks.mini import MemoryImages

__all__ = ["capture_all", "choose_evenly"]

#: Captures at a time.
_BATCH = 128


def choose_evenly(
    drawings: Mapping[str, Sequence[int]], count: int, generator: random.Random
) -> list[int]:
    """Return ``count`` pictures, each drawing as often as any other, give or take one.

    Parameters
    ----------
    drawings
        The pictures of each drawing, such as its skin tones; they take turns.
    """
    order = sorted(drawings)
    generator.shuffle(order)
    turns = {}
    for drawing in order:
        pictures = list(drawings[drawing])
        generator.shuffle(pictures)
        turns[drawing] = pictures
    rounds = -(-count // len(order))
    chosen = [turns[each][turn % len(turns[each])] for turn in range(rounds) for each in order]
    return chosen[:count]


def capture_all(thumbnails: NDArray[np.uint8], labels: Sequence[int], name: str) -> MemoryImages:
    """Capture thumbnails ``(n, s, s, 4)``; the same ``name`` gives the same images."""
    generator = torch.Generator().manual_seed(derive_seed(0, "captures", name))
    parts = [
        (capture(part, IMAGE_SIZE, generator) * 255).round().to(torch.uint8)
        for part in torch.from_numpy(thumbnails).split(_BATCH)
    ]
    pixels = torch.cat(parts).permute(0, 2, 3, 1).contiguous().numpy()
    return MemoryImages(pixels, labels)
