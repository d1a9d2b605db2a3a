"""The folder of work that has a plan: one process at a time, and nobody else's files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.files import names_in, read_json
from dpl_nas.io.locks import claim
from dpl_nas.io.run_files import LOCK

__all__ = ["claimed_folder", "folder_name"]


@contextmanager
def claimed_folder(
    folder: Path, what: str, plan: str, is_plan: Callable[[Any], bool]
) -> Iterator[None]:
    """Hold a folder, which is made if missing, for this process in the context.

    Parameters
    ----------
    what
        What it is the folder of, for messages: ``comparison``.
    plan
        Name of the file by which such a folder is known.
    is_plan
        Whether the content of that file is one.

    Raises
    ------
    OutputError
        If another process holds it, if it holds something else, or if it cannot be written.
    """
    try:
        _check_own(folder, what, plan, is_plan)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    with claim(
        folder / LOCK,
        f"{folder} is in use by a {what} that is still going: wait, or use another folder",
    ):
        yield


def _check_own(folder: Path, what: str, plan: str, is_plan: Callable[[Any], bool]) -> None:
    """Raise an error if ``folder`` holds anything that no such work writes."""
    if not folder.is_dir() or not names_in(folder) - {LOCK}:
        return
    with suppress(CheckpointError):
        if is_plan(read_json(folder / plan)):
            return
    raise OutputError(
        f"{folder} is neither empty nor the folder of a {what}, which has a {plan}: use "
        "another folder"
    )


def folder_name(name: str) -> str:
    """Make a folder name of any name."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return kept.strip(".") or "_"
