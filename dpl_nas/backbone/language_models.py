"""Decoders of transformers by name or folder, and how they read texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dpl_nas.backbone.decoders import PADDING, objection_to_decoder
from dpl_nas.backbone_config import HUGGING_FACE
from dpl_nas.errors import BackboneError, CheckpointError, join_lines, shorten
from dpl_nas.io.home import expand_home

__all__ = ["Prompt", "Reader", "build_decoder", "load_decoder"]

#: Texts are cut to so many tokens, if a model could read more.
_LONGEST = 512


class Prompt(Protocol):
    """A text, and what stands before and after it; the word of its class would follow."""

    @property
    def before(self) -> str:
        """What stands before the text."""

    @property
    def text(self) -> str:
        """The text, which is cut if there is no room."""

    @property
    def after(self) -> str:
        """What stands after it."""


class Reader:
    """A tokenizer of transformers.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    length
        Number of tokens that there is room for.
    """

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer = tokenizer
        self.length = length

    def __call__(self, prompt: Prompt) -> Tensor:
        """Return tokens ``(length,)``, int64; :data:`~dpl_nas.backbone.decoders.PADDING` follows.

        The end of a text for which there is no room is left out.

        Raises
        ------
        BackboneError
            If there is no room for what stands around the text.
        """
        tokens = self._whole(prompt)
        if len(tokens) > self.length:
            tokens = self._cut(prompt)
        return torch.tensor(tokens + [PADDING] * (self.length - len(tokens)))

    def cuts(self, prompt: Prompt) -> bool:
        """Whether there is no room for the whole text."""
        return len(self._whole(prompt)) > self.length

    def words(self, words: Sequence[str]) -> list[int]:
        """Return the first token of each word, as it follows another one.

        Raises
        ------
        BackboneError
            If a word has no token.
        """
        before = len(self._tokens("a"))
        found = [self._tokens(f"a {word}")[before:] for word in words]
        for word, tokens in zip(words, found, strict=True):
            if not tokens:
                raise BackboneError(
                    f"expected a word for each class, found {word!r}, which has no token: name "
                    "another"
                )
        return [tokens[0] for tokens in found]

    def _whole(self, prompt: Prompt) -> list[int]:
        return self._tokens(f"{prompt.before}{prompt.text}{prompt.after}")

    def _cut(self, prompt: Prompt) -> list[int]:
        plain = self._tokens(f"{prompt.before}{prompt.after}")
        start = self._tokens(prompt.before)
        whole = self._tokens(f"{prompt.before}{prompt.text}")
        room = self.length - len(plain) - 1
        if room < 1:
            raise BackboneError(
                f"the template alone takes {len(plain)} tokens, and there is room for "
                f"{self.length}: use a shorter template"
            )
        end = plain[_common(plain, start) :]
        return [*whole[: self.length - len(end)], *end]

    def _tokens(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(text)["input_ids"]
        # Some end every text, after which no word would follow.
        if found and found[-1] == self._tokenizer.eos_token_id and len(found) > 1:
            found = found[:-1]
        return found


def build_decoder(name: str) -> nn.Module:
    """Build the model of a name such as ``hf:gpt2`` with random weights, by torch's generator.

    Raises
    ------
    BackboneError
        If it cannot be found, or cannot carry context vectors.
    """
    library, source, revision = _source(name)
    try:
        config = library.AutoConfig.from_pretrained(source, revision=revision)
        model: nn.Module = library.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except Exception as error:
        # Each transport raises its own errors.
        raise _not_found(name, error) from error
    _check(name, model)
    return model


def load_decoder(name: str, *, random: bool = False) -> tuple[nn.Module, Reader]:
    """Return a model with its weights, and its reader.

    Weights are read from safetensors alone, and no code of a model is run.

    Parameters
    ----------
    random
        Whether weights are drawn from torch's generator instead.

    Raises
    ------
    BackboneError
        If it cannot be found, or cannot carry context vectors.
    CheckpointError
        If weights are missing or are not finite.
    """
    library, source, revision = _source(name)
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(source, revision=revision)
    except Exception as error:
        raise _not_found(name, error) from error
    if random:
        model: Any = build_decoder(name)
    else:
        model = _with_weights(library, name, source, revision)
        _check(name, model)
    length = min(_LONGEST, int(model.config.max_position_embeddings))
    return model, Reader(tokenizer, length)


def _with_weights(library: Any, name: str, source: str, revision: str | None) -> nn.Module:
    try:
        with _quietly(library):
            model, facts = library.AutoModelForCausalLM.from_pretrained(
                source,
                revision=revision,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise _not_found(name, error) from error
    wrong = sorted([*facts["missing_keys"], *map(str, facts["mismatched_keys"])])
    if wrong:
        raise CheckpointError(
            f"the weights of {name} lack {len(wrong)} of its tensors, such as {shorten(wrong[0])}: "
            "give the whole model"
        )
    for key, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"the weights of {name} are damaged: {key} is not finite")
    found: nn.Module = model
    return found


@contextmanager
def _quietly(library: Any) -> Iterator[None]:
    """Let transformers draw no bars of its own."""
    logging = library.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _source(name: str) -> tuple[Any, str, str | None]:
    """Return transformers, the folder or name to load from, and the revision."""
    try:
        import transformers
    except ImportError as error:
        raise BackboneError(
            f"{name} is a model of transformers: install it with pip install 'dpl_nas[hf]'"
        ) from error
    plain = name.removeprefix(HUGGING_FACE)
    try:
        folder = Path(expand_home(plain))
    except ValueError as error:
        raise BackboneError(f"{HUGGING_FACE}{shorten(plain)}: {error}") from None
    if plain and folder.is_dir():
        return transformers, str(folder), None
    found = re.fullmatch(r"((?:[\w.-]+/)?[\w.-]+)(?:@([\w./-]+))?", plain)
    if found is None and plain.startswith(("/", ".", "~")):
        raise BackboneError(f"{shorten(name)} leads nowhere: there is no folder {shorten(plain)}")
    if found is None:
        raise BackboneError(
            f"expected {HUGGING_FACE}FOLDER or {HUGGING_FACE}OWNER/NAME, also with @REVISION, "
            f"found {shorten(name)}"
        )
    return transformers, found[1], found[2]


def _not_found(name: str, error: Exception) -> BackboneError:
    return BackboneError(
        f"{shorten(name)} cannot be loaded ({shorten(join_lines(str(error)))}): give a folder with "
        "config.json, the tokenizer and model.safetensors, or load it once with a network"
    )


def _check(name: str, model: nn.Module) -> None:
    objection = objection_to_decoder(model)
    if objection:
        raise BackboneError(f"{shorten(name)} cannot be the backbone, since {objection}")


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens that two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
