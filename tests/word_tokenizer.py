"""Tokenizers of whole words in folders, as transformers saves them."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["save_tokenizer"]


def save_tokenizer(
    folder: Path, words: Sequence[str], *, end: str | None = None, **special: str
) -> None:
    """Save a tokenizer whose tokens are ``words``; ``end`` follows every text.

    ``special`` are those of transformers by their names, of which ``unk_token`` is needed.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    places = {word: at for at, word in enumerate(words)}
    made = Tokenizer(WordLevel(places, special["unk_token"]))
    made.pre_tokenizer = Whitespace()
    if end is not None:
        after = [(end, places[end])]
        made.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=after)
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)
