"""The embedded CLIP: its architecture, its shipped weights, its transform and tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip import image_transform
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import write_bytes
from dpl_nas.io.shipped_weights import check_shipped, foreign_weights, read_shipped
from dpl_nas.mini.render import IMAGE_SIZE
from dpl_nas.mini.token_table import TokenTable
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, VOCABULARY_SIZE, tokenizer

__all__ = [
    "IMAGE_MEAN",
    "IMAGE_STD",
    "MINI_CONFIG",
    "MiniConfig",
    "build_mini_clip",
    "load_mini_clip",
    "mini_preprocess",
    "mini_tokenizer",
    "save_mini_clip",
    "seen_tokens",
]

IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.3, 0.3, 0.3)
#: The weights that ship, and their hash.
WEIGHTS = Path(__file__).with_name("mini_clip.safetensors")
_HASH = "e10db60a739e5008fd52412953e8115b6413144d9724ee323ca21f41ab4b1d8c"
_FORMAT, _NAME = "dpl_nas mini clip 2", "mini-clip"
_TABLE = "token_embedding."


@dataclass(frozen=True)
class MiniConfig:
    """Sizes of the embedded CLIP; depths as in ViT-B/16.

    Attributes
    ----------
    width, head_width, layers
        Width, head width and number of layers of both towers.
    patch_size
        Width of a patch in pixels; the image is ``IMAGE_SIZE`` wide.
    embed_dim
        Size of the joint space.
    """

    width: int = 96
    head_width: int = 32
    layers: int = 12
    patch_size: int = 8
    embed_dim: int = 96


MINI_CONFIG = MiniConfig()


def build_mini_clip(
    config: MiniConfig = MINI_CONFIG, tokens: Tensor | None = None, seen: Tensor | None = None
) -> CLIP:
    """Build the architecture with random weights (from torch's global generator).

    Parameters
    ----------
    tokens, seen
        The tokens that have a row of their own in a `TokenTable`, as in pre-training, and those
        that it sees. By default every token has a row, as in any CLIP of open_clip.
    """
    model = CLIP(
        embed_dim=config.embed_dim,
        vision_cfg=CLIPVisionCfg(
            layers=config.layers,
            width=config.width,
            head_width=config.head_width,
            patch_size=config.patch_size,
            image_size=IMAGE_SIZE,
        ),
        text_cfg=CLIPTextCfg(
            context_length=CONTEXT_LENGTH,
            vocab_size=VOCABULARY_SIZE if tokens is None else 1,
            width=config.width,
            heads=config.width // config.head_width,
            layers=config.layers,
        ),
    )
    if tokens is not None:
        model.token_embedding = TokenTable(tokens, config.width, seen)
    return model


def save_mini_clip(path: Path, state: dict[str, Tensor]) -> None:
    """Write the state dict of a model with a `TokenTable`, in half precision."""
    halves = {
        name: (value.detach().half() if value.is_floating_point() else value).contiguous()
        for name, value in state.items()
    }
    write_bytes(path, save(halves, metadata={"format": _FORMAT}))


def load_mini_clip(path: Path | None = None) -> CLIP:
    """Load the pre-trained model in float32, in evaluation mode.

    Parameters
    ----------
    path
        Path of a file of :func:`save_mini_clip`; the shipped weights by default.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another model.
    """
    file = path or WEIGHTS
    state = _read(file)
    check_shipped(file, state, _HASH if path is None else None)
    table = {name.removeprefix(_TABLE): state.pop(name) for name in list(state) if _TABLE in name}
    # Building draws random weights; this must not affect the caller's generator.
    with torch.random.fork_rng(devices=[]):
        model = build_mini_clip()
        state[f"{_TABLE}weight"] = _compose(table, file)
    expected = {name: value.shape for name, value in model.state_dict().items()}
    found = {name: value.shape for name, value in state.items()}
    if expected != found:
        raise foreign_weights(file, _NAME)
    model.load_state_dict(state)
    return model.eval()


def seen_tokens(path: Path | None = None) -> frozenset[int]:
    """Return the tokens of all captions that a model was pre-trained on.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, or of another model.
    """
    file, name = path or WEIGHTS, f"{_TABLE}seen"
    found = _read(file, name)
    if name not in found or not _are_tokens(found[name]):
        raise foreign_weights(file, _NAME)
    return frozenset(found[name].tolist())


def _compose(saved: dict[str, Tensor], file: Path) -> Tensor:
    """Return the embeddings of all tokens that a saved `TokenTable` stands for."""
    tokens, seen = (saved.get(name, torch.zeros(0)).long() for name in ("tokens", "seen"))
    if not _are_tokens(tokens) or not _are_tokens(seen):
        raise foreign_weights(file, _NAME)
    table = TokenTable(tokens, MINI_CONFIG.width, seen)
    try:
        table.load_state_dict(saved)
    except RuntimeError as error:
        raise foreign_weights(file, _NAME) from error
    return table.whole()


def _are_tokens(ids: Tensor) -> bool:
    return ids.dim() == 1 and bool(((ids >= 0) & (ids < VOCABULARY_SIZE)).all())


def _read(file: Path, *names: str) -> dict[str, Tensor]:
    if file.is_dir():
        raise CheckpointError(f"{file} is a folder: give the file of weights itself")
    return read_shipped(file, _FORMAT, _NAME, *names)


def mini_preprocess() -> Callable[..., Tensor]:
    """Return open_clip's evaluation transform for this model: PIL image to ``(3, 32, 32)``."""
    transform: Callable[..., Tensor] = image_transform(
        IMAGE_SIZE, is_train=False, mean=IMAGE_MEAN, std=IMAGE_STD
    )
    return transform


def mini_tokenizer() -> SimpleTokenizer:
    """Return open_clip's tokenizer at this model's context length (24)."""
    return tokenizer()
