"""Read the weights of a CLIP from a file, and check them before a model takes them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from open_clip.model import convert_to_custom_text_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from dpl_nas.backbone.archive import ForbiddenError, read_archive
from dpl_nas.errors import CheckpointError, DplError, shorten
from dpl_nas.io.files import open_file

__all__ = ["Weights", "fill", "read_weights"]

#: Sizes that OpenAI's archives carry beside the weights; no other layout has them.
_OPENAI_SIZES = frozenset({"input_resolution", "context_length", "vocab_size"})

#: Largest number of wrong keys that an error names.
_NAMED = 3


@dataclass(frozen=True)
class Weights:
    """Named tensors of one CLIP, and whether they come from OpenAI's archive (then: QuickGELU)."""

    tensors: dict[str, Tensor]
    openai: bool


def read_weights(path: Path) -> Weights:
    """Read the weights in a ``.safetensors`` file, a ``.pt`` file or a TorchScript archive.

    No code in the file is run.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, or holds something else.
    """
    try:
        content = _read(path)
    except DplError:
        raise
    except ForbiddenError as error:
        raise CheckpointError(
            f"{path} holds {error}, which dpl_nas does not read: save only the state_dict of the "
            "model"
        ) from error
    except Exception as error:  # the kind depends on which part is damaged
        raise CheckpointError(
            f"{path} is truncated or not a file of weights ({type(error).__name__}): give another "
            "file"
        ) from error
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        # As saved from inside DistributedDataParallel.
        key = str(name).removeprefix("module.")
        if key in _OPENAI_SIZES:
            continue
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} should hold only tensors, found {shorten(key)}: save only the state_dict "
                "of the model"
            )
        tensors[key] = value
    return Weights(tensors, openai=_OPENAI_SIZES.issubset(content))


def _read(path: Path) -> Mapping[Any, Any]:
    with open_file(path) as stream:
        if path.suffix == ".safetensors":
            return _named(load_file(path), path)
        if zipfile.is_zipfile(stream):
            return read_archive(stream, lambda content: _named(content, path))
        stream.seek(0)
        # The format that torch wrote before it used archives.
        return _named(torch.load(stream, map_location="cpu", weights_only=True), path)


def _named(content: Any, path: Path) -> Mapping[Any, Any]:
    """Return the weights by name; training checkpoints are accepted too."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f"{path} should hold the state_dict of a model, found none: give another file"
        )
    return content


def fill(model: nn.Module, weights: Weights, source: str, name: str) -> None:
    """Load ``weights`` into ``model`` and convert them to its type (half precision is widened).

    Raises
    ------
    CheckpointError
        If a weight is missing, unknown, of another shape or not finite.
    """
    tensors = dict(weights.tensors)
    expected = model.state_dict()
    if "text.positional_embedding" in expected:
        tensors = convert_to_custom_text_state_dict(tensors)
    if "logit_bias" in tensors and "logit_bias" not in expected:
        # A constant added to all logits changes no probability.
        del tensors["logit_bias"]
    for scalar in ("logit_scale", "logit_bias"):
        # Saved with or without a dimension of size 1.
        if scalar in tensors and scalar in expected and tensors[scalar].numel() == 1:
            tensors[scalar] = tensors[scalar].reshape(expected[scalar].shape)
    wrong = sorted(set(tensors) ^ set(expected))
    if wrong:
        raise CheckpointError(
            f"{source} does not hold a {name}: {len(wrong)} names are missing or unknown, such as "
            f"{shorten(', '.join(wrong[:_NAMED]))}"
        )
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            raise CheckpointError(
                f"{source} does not hold a {name}: {key} should be "
                f"{tuple(expected[key].shape)}, found {tuple(tensor.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{source} is damaged: {key} holds values that are not finite")
    model.load_state_dict(tensors)
