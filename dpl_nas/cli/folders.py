"""The folder that a run is written to."""

from __future__ import annotations

import fcntl
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
        If a run still works in the folder, or it holds anything but a run: it may be
        somebody's work.
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
    lock = folder / ".lock"
    if lock.exists():
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(
                    f"{folder} is in use by a run that is still going: wait, or use another folder"
                ) from None
    shutil.rmtree(folder)
