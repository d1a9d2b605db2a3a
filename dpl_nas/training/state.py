"""Where a loop has got to, written whole after every epoch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from dpl_nas.errors import CheckpointError
from dpl_nas.files import write_bytes

__all__ = ["load_state", "save_state"]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically."""
    stream = io.BytesIO()
    torch.save(state, stream)
    write_bytes(path, stream.getvalue())


def load_state(path: Path) -> dict[str, Any] | None:
    """What :func:`save_state` wrote, or None if there is nothing yet.

    Raises
    ------
    CheckpointError
        If the file is truncated or is something else.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(
            f"{path} is not a readable state of a run ({type(error).__name__}): remove it to "
            "start that stage afresh"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a state of a run: remove it")
    return state
