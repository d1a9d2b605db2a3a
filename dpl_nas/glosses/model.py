"""The embedded causal language model: its architecture and its shipped weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save
from torch import Tensor

from dpl_nas.glosses.tokens import VOCABULARY_SIZE, without_transformers
from dpl_nas.io.files import write_bytes
from dpl_nas.io.shipped_weights import check_shipped, foreign_weights, read_shipped

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

__all__ = [
    "CONTEXT_LENGTH",
    "HEADS",
    "LAYERS",
    "WEIGHTS",
    "WIDTH",
    "build_gloss_decoder",
    "load_gloss_decoder",
    "save_gloss_decoder",
]

LAYERS, WIDTH, HEADS = 8, 96, 3
#: Most tokens of a text.
CONTEXT_LENGTH = 64
#: The weights that ship, and their hash.
WEIGHTS = Path(__file__).with_name("gloss_decoder.safetensors")
_HASH = "9fa4109423fa4423644be3124501a78c43c4be06e12c31d4b32e6d9737e02714"
_FORMAT, _NAME = "dpl_nas gloss decoder 1", "the gloss decoder"


def build_gloss_decoder(layers: int = LAYERS) -> GPT2LMHeadModel:
    """Build the architecture with random weights (from torch's global generator).

    Raises
    ------
    ConfigError
        If transformers is not installed.
    """
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError as error:
        raise without_transformers() from error
    config = GPT2Config(
        vocab_size=VOCABULARY_SIZE,
        n_positions=CONTEXT_LENGTH,
        n_embd=WIDTH,
        n_layer=layers,
        n_head=HEADS,
        # The same function as GPT-2's own, in one operation.
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        tie_word_embeddings=True,
    )
    return GPT2LMHeadModel(config)


def save_gloss_decoder(path: Path, model: GPT2LMHeadModel) -> None:
    """Write a model's weights in half precision; tied embeddings once."""
    halves = {name: value.detach().half().contiguous() for name, value in _weights_of(model)}
    write_bytes(path, save(halves, metadata={"format": _FORMAT}))


def load_gloss_decoder(path: Path | None = None) -> GPT2LMHeadModel:
    """Load the pre-trained model in float32, in evaluation mode.

    Parameters
    ----------
    path
        Path of a file of :func:`save_gloss_decoder`; the shipped weights by default.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another model.
    ConfigError
        If transformers is not installed.
    """
    file = path or WEIGHTS
    state = read_shipped(file, _FORMAT, _NAME)
    check_shipped(file, state, _HASH if path is None else None)
    # Building draws random weights; this must not affect the caller's generator.
    with torch.random.fork_rng(devices=[]):
        model = build_gloss_decoder()
    own = dict(_weights_of(model))
    expected = {name: value.shape for name, value in own.items()}
    if expected != {name: value.shape for name, value in state.items()}:
        raise foreign_weights(file, _NAME)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(state[name])
    model.eval()
    return model


def _weights_of(model: GPT2LMHeadModel) -> list[tuple[str, Tensor]]:
    """Return the distinct weights: the output layer is the table of embeddings."""
    return list(model.transformer.named_parameters())
