"""The few rows of CLIP's vocabulary that the captions use."""

from __future__ import annotations

from functools import cache

from open_clip.tokenizer import SimpleTokenizer

from dpl_nas.mini.captions import every_word

__all__ = ["CONTEXT_LENGTH", "VOCABULARY_SIZE", "tokenizer", "used_tokens"]

CONTEXT_LENGTH = 24
#: Rows of the table that SimpleTokenizer indexes.
VOCABULARY_SIZE = 49408


@cache
def tokenizer() -> SimpleTokenizer:
    """Return open_clip's own tokenizer, at this model's context length."""
    return SimpleTokenizer(context_length=CONTEXT_LENGTH)


@cache
def used_tokens() -> tuple[int, ...]:
    """Return the token ids that captions can have, ascending.

    Padding (0) comes first and the end of text, whose id is the largest of all, last; so
    a caption's ids can be replaced by their places in this tuple without moving the
    position of the end of text, which CLIP finds by argmax.
    """
    tokens = tokenizer()
    ids = {0, tokens.sot_token_id, tokens.eot_token_id}
    for text in every_word():
        ids.update(tokens.encode(text))
    return tuple(sorted(ids))
