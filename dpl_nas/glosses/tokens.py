"""The tokenizer of the embedded language model: its training and the file that ships."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery.pack import hash_of
from dpl_nas.io.files import read_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "BEGIN",
    "PAD",
    "TOKENIZER",
    "TOKENIZER_HASH",
    "VOCABULARY_SIZE",
    "load_gloss_tokenizer",
    "train_tokenizer",
    "without_transformers",
]

#: The file that ships, and its hash.
TOKENIZER = Path(__file__).with_name("tokenizer.json")
TOKENIZER_HASH = "66dc6a46bdaa2f6dc1d435cf1e66a1a17a53534da7283d7ebba3c1f030ba5407"
VOCABULARY_SIZE = 4000
#: What fills up short texts, and what every text begins with; tokens 0 and 1.
PAD, BEGIN = "<pad>", "<bos>"
#: How often a word that must be one token is repeated in the training.
_REPEATS = 20_000


def load_gloss_tokenizer(path: Path | None = None) -> PreTrainedTokenizerFast:
    """Load the tokenizer of the embedded language model.

    It knows lower case only, and begins every text with ``<bos>``.

    Parameters
    ----------
    path
        A file of :func:`train_tokenizer`; the one that ships by default.

    Raises
    ------
    CheckpointError
        If the file is absent, damaged, or of something else.
    ConfigError
        If transformers is not installed.
    """
    try:
        from tokenizers import Tokenizer
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise without_transformers() from error
    file = path or TOKENIZER
    content = read_bytes(file)
    if path is None and hash_of(content) != TOKENIZER_HASH:
        raise CheckpointError(f"{file} is damaged or of another version: install dpl_nas again")
    try:
        codec = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:
        # The library raises plain exceptions.
        raise CheckpointError(f"{file} is damaged or no file of a tokenizer") from error
    if (codec.token_to_id(PAD), codec.token_to_id(BEGIN)) != (0, 1):
        raise CheckpointError(f"{file} is not the tokenizer of the gloss decoder")
    return PreTrainedTokenizerFast(
        tokenizer_object=codec,
        pad_token=PAD,
        bos_token=BEGIN,
        padding_side="right",
        # GPT-2 would add embeddings of types of tokens.
        model_input_names=["input_ids", "attention_mask"],
    )


def train_tokenizer(texts: Iterable[str], words: Sequence[str], size: int = VOCABULARY_SIZE) -> str:
    """Train a tokenizer by byte pairs and return its JSON.

    Parameters
    ----------
    texts
        The texts to learn frequent parts of words from.
    words
        Words that become one token each, where they follow a space.
    size
        The number of tokens.

    Raises
    ------
    ConfigError
        If the library tokenizers is not installed, or there is no room for all words.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
        from tokenizers.trainers import BpeTrainer
    except ImportError as error:
        raise without_transformers() from error
    codec = Tokenizer(models.BPE())
    codec.normalizer = normalizers.Lowercase()
    codec.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    codec.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, BEGIN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    codec.train_from_iterator(_all_texts(texts, words), trainer)
    codec.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, 1)]
    )
    for word in words:
        if len(codec.encode(word, add_special_tokens=False).ids) != 1:
            raise ConfigError(f"{word!r} is not one token of {size}: give more tokens")
    return str(codec.to_str())


def without_transformers() -> ConfigError:
    """Return the error that says that an optional library is absent."""
    return ConfigError(
        "the gloss decoder needs transformers, which is not installed: install it with "
        "pip install 'dpl_nas[hf]'"
    )


def _all_texts(texts: Iterable[str], words: Sequence[str]) -> Iterator[str]:
    yield from texts
    for word in words:
        yield " ".join([word] * _REPEATS)
