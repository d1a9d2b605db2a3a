"""Weights of the embedded models: safetensors of a known format, in half precision."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import open_file, read_bytes

__all__ = ["check_shipped", "foreign_weights", "read_shipped"]


def read_shipped(file: Path, kind: str, model: str, *names: str) -> dict[str, Tensor]:
    """Read the tensors with these names, as far as they are there; by default all.

    Numbers that are not whole are widened to float32.

    Parameters
    ----------
    kind
        The format that the file must state.
    model
        Name of the model, for messages.

    Raises
    ------
    CheckpointError
        If the file is missing, a folder, truncated, or of another format.
    """
    # safetensors would wait for a pipe.
    with open_file(file):
        pass
    try:
        with safetensors.safe_open(str(file), framework="pt") as stream:
            if (stream.metadata() or {}).get("format") != kind:
                raise foreign_weights(file, model)
            there = stream.keys()
            read = {n: stream.get_tensor(n) for n in (names or there) if n in there}
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is truncated or not a safetensors file") from error
    return {name: v.float() if v.is_floating_point() else v for name, v in read.items()}


def check_shipped(file: Path, state: dict[str, Tensor], digest: str | None) -> None:
    """Raise an error for values that are not finite, or a file of another SHA-256.

    Parameters
    ----------
    state
        What was read of the file.
    digest
        The SHA-256 of the file that ships; ``None`` for another file.

    Raises
    ------
    CheckpointError
        If that is so.
    """
    if digest is not None and hashlib.sha256(read_bytes(file)).hexdigest() != digest:
        raise CheckpointError(f"{file} is damaged or of another version: install dpl_nas again")
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise CheckpointError(f"{file} is damaged (it holds values that are not finite)")


def foreign_weights(file: Path, model: str) -> CheckpointError:
    """Return the error for a file of something else."""
    return CheckpointError(f"{file} does not hold the weights of {model}")
