"""The folder that a run is written to."""

from __future__ import annotations

import shutil
from pathlib import Path

from dpl_nas.errors import OutputError

__all__ = ["clear_run"]

#: A folder that holds one of these was written by a run.
_MARKS = ("config.yml", "result.json", "architecture.json", "prompts.safetensors")


def clear_run(folder: Path) -> None:
    """Remove a run, so that its folder can be used afresh.

    Raises
    ------
    OutputError
        If the folder holds anything but a run: it may be somebody's work.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file: give a folder")
    if any(folder.iterdir()) and not any((folder / mark).is_file() for mark in _MARKS):
        raise OutputError(
            f"{folder} holds something that is not a run: --overwrite leaves it alone"
        )
    if folder.is_symlink():
        raise OutputError(f"{folder} is a link: give the folder itself to overwrite it")
    shutil.rmtree(folder)
