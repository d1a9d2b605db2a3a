"""The tokens of the embedded CLIP: open_clip's own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from open_clip.tokenizer import SimpleTokenizer

__all__ = ["CONTEXT_LENGTH", "VOCABULARY_SIZE", "find_tokens", "tokenizer"]

CONTEXT_LENGTH = 24
#: Rows of the table that SimpleTokenizer indexes.
VOCABULARY_SIZE = 49408


@cache
def tokenizer() -> SimpleTokenizer:
    """Return open_clip's own tokenizer, at this model's context length."""
    return SimpleTokenizer(context_length=CONTEXT_LENGTH)


def find_tokens(texts: Iterable[str]) -> list[int]:
    """Return all tokens of some texts, and those of the start and the end of a text, ascending."""
    codec = tokenizer()
    found = {codec.sot_token_id, codec.eot_token_id}
    for text in texts:
        found.update(codec.encode(text))
    return sorted(found)
