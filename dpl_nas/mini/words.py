"""Vectors of all of CLIP's tokens, from what English texts say of words.

The embedded CLIP sees a few thousand words in pre-training. A stranger's class names have others.
So a token's embedding is a learned map of its word vector, plus a row of its own if it was seen:
words that are used alike get features that are alike, and no token is without a meaning.

The vectors ship in ``words.safetensors``: those of GloVe, 6 billion words of Wikipedia and
Gigaword (Pennington, Socher and Manning, 2014), in fewer dimensions and 8 bits.
``dpl_nas.mini.build_words`` makes the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.pack import hash_of
from dpl_nas.io.files import read_bytes, write_bytes

__all__ = ["WORDS", "WORD_DIMENSIONS", "load_word_vectors", "save_word_vectors"]

#: The file that ships, and its hash.
WORDS = Path(__file__).with_name("words.safetensors")
_HASH = "29007e6e65511b6e80dc4f6b99be266db4afe6ba463a0ab22bf4aee1a171c390"
#: Size of a word vector.
WORD_DIMENSIONS = 40

_CODES, _SCALE = "codes", "scale"


@cache
def load_word_vectors() -> Tensor:
    """Return the vectors of all tokens, ``(VOCABULARY_SIZE, WORD_DIMENSIONS)``, of variance one.

    Raises
    ------
    CheckpointError
        If the file is absent or damaged.
    """
    content = read_bytes(WORDS)
    if hash_of(content) != _HASH:
        raise CheckpointError(
            f"{WORDS} is damaged or of another version: install dpl_nas again, or make it with "
            "python -m dpl_nas.mini.build_words"
        )
    read = load(content)
    return read[_CODES].float() * read[_SCALE]


def save_word_vectors(path: Path, vectors: Tensor) -> str:
    """Write vectors ``(VOCABULARY_SIZE, WORD_DIMENSIONS)`` in 8 bits; return the file's SHA-256."""
    # What is further out than four deviations is rare, and is cut.
    scale = 4 * vectors.std() / 127
    codes = (vectors / scale).round().clamp(-127, 127).to(torch.int8)
    unit = (codes.float()).std()
    content = save({_CODES: codes.contiguous(), _SCALE: (1 / unit).reshape(1)})
    write_bytes(path, content)
    return hash_of(content)
