"""Tensors in a file that shows whether it is damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import read_bytes, write_bytes
from dpl_nas.io.json_values import parse_json, seal, unseal

__all__ = ["load_sealed", "read_tensors", "save_sealed"]

#: The most bytes of a file.
_LARGEST = 4_000_000_000
_HEADER = "dpl_nas"
#: Key of the digest of the tensors in the header, which has a checksum itself.
_DIGEST = "tensors"


def save_sealed(file: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a header of JSON values, with the digest of both, atomically."""
    from safetensors.torch import save

    plain = {name: value.contiguous() for name, value in tensors.items()}
    sealed = seal({**header, _DIGEST: _digest(plain)})
    write_bytes(file, save(plain, metadata={_HEADER: json.dumps(sealed)}))


def load_sealed(
    file: Path, names: Sequence[str] | None, remedy: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the header that :func:`save_sealed` wrote.

    Parameters
    ----------
    names
        Names of the tensors; ``None`` if any will do.
    remedy
        What to do if the file is damaged.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, of another version, or something else.
    """
    try:
        tensors, metadata = read_tensors(read_bytes(file, _LARGEST))
        header = unseal(parse_json(metadata[_HEADER]))
        whole = header.pop(_DIGEST) == _digest(tensors)
        whole &= names is None or set(tensors) == set(names)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{file} is damaged: {remedy}") from error
    if not whole:
        raise CheckpointError(f"{file} is damaged: {remedy}")
    return tensors, header


def read_tensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata in the content of a safetensors file.

    Raises
    ------
    ValueError
        If it is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError("it is no safetensors file") from error
    return tensors, {str(key): str(value) for key, value in metadata.items()}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
