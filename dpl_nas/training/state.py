"""The state of a loop, written atomically after every epoch."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import open_file, write_bytes

__all__ = ["check_images_of", "check_layout", "load_state", "save_state"]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically."""
    stream = io.BytesIO()
    torch.save(state, stream)
    write_bytes(path, stream.getvalue())


def load_state(path: Path) -> dict[str, Any] | None:
    """Load what :func:`save_state` wrote, or None if there is nothing yet.

    Raises
    ------
    CheckpointError
        If the file is truncated, damaged or something else.
    """
    if not os.path.lexists(path):
        return None
    with open_file(path) as stream:
        try:
            _check_sums(stream)
            state = torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise CheckpointError(
                f"{path} is not a readable state of a run ({type(error).__name__}): remove it to "
                "start that stage afresh"
            ) from error
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path} is not a state of a run: remove it to start that stage afresh"
        )
    return state


def check_images_of(path: Path, saved: Any, images: str) -> None:
    """Raise an error unless the state in ``path`` belongs to data with the digest ``images``.

    Raises
    ------
    CheckpointError
        If the state belongs to other data.
    """
    if saved != images:
        raise CheckpointError(
            f"the images, class names or templates of the task have changed since {path} was "
            "written: restore them, or use another folder"
        )


def _check_sums(stream: BinaryIO) -> None:
    """Raise an error for damage that torch misses: it ignores its archives' checksums."""
    with zipfile.ZipFile(stream) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(damaged)
    stream.seek(0)


def check_layout(path: Path, saved: Any, expected: Any) -> None:
    """Raise an error unless ``saved``, from the file ``path``, has the layout of ``expected``.

    Mappings must have the same keys, tensors the same shape and dtype; other values must be of
    the same type.

    Raises
    ------
    CheckpointError
        If the layouts differ; the message names the first difference.
    """
    problem = _difference(saved, expected, "the file")
    if problem:
        raise CheckpointError(
            f"{path} is not a state of this run ({problem}): remove it to start that stage afresh"
        )


def _difference(saved: Any, expected: Any, where: str) -> str:
    if isinstance(expected, dict):
        if not isinstance(saved, dict):
            return f"{where} should hold values by name, found {type(saved).__name__}"
        if wrong := sorted(map(str, saved.keys() ^ expected.keys())):
            return f"{wrong[0]:.60} is missing or unknown in {where}"
        found = (_difference(saved[key], part, str(key)) for key, part in expected.items())
        return next(filter(None, found), "")
    if isinstance(expected, Tensor):
        asked, given = _kind(expected), _kind(saved)
    else:
        asked, given = type(expected).__name__, type(saved).__name__
    return "" if asked == given else f"{where} should be {asked}, found {given}"


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
