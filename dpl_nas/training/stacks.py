"""How many models are trained side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.backbone.memory import kept_bytes
from dpl_nas.backbone.text import KEPT

__all__ = ["split_evenly", "stack_size"]

#: More models than this gain nothing: operations are no longer short.
_MOST = 16
#: Texts are taken to have so many tokens; what is kept for the backward pass has its own limit.
_TEXT_TOKENS = 128

Item = TypeVar("Item")


def stack_size(backbone: Backbone, text: TextInputs, batch_size: int) -> int:
    """Return how many models of a backbone to train side by side, one at least.

    Parameters
    ----------
    text
        Captions of all classes.
    batch_size
        Images in a batch.
    """
    tokens, words = 0, text.embeddings.shape[0] * text.embeddings.shape[1]
    if backbone.classes_by == "words":
        words = batch_size * _TEXT_TOKENS
    else:
        with torch.no_grad():
            size = backbone.image_size
            image = torch.zeros(1, 3, size, size, device=backbone.device)
            tokens = batch_size * backbone.image.embed(image).shape[1]
    units = (
        tokens * backbone.widths["image"] * backbone.layers["image"]
        + words * backbone.widths["text"] * backbone.layers["text"]
    )
    fit = kept_bytes(backbone.device) // (KEPT * units * text.embeddings.element_size())
    return max(1, min(_MOST, fit))


def split_evenly(items: Sequence[Item], size: int, parts: int = 1) -> Iterator[Sequence[Item]]:
    """Yield parts of nearly equal size: of at most ``size``, and ``parts`` at least if they can."""
    count = max(-(-len(items) // size), min(parts, len(items)))
    for part in range(count):
        start, stop = part * len(items) // count, (part + 1) * len(items) // count
        yield items[start:stop]
