"""Damage to the files of a run, also to those that it does not need any more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dpl_nas.engine.ledger import read_ledger
from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import read_sealed
from dpl_nas.io.run_files import (
    ARCHITECTURE,
    EVALUATIONS,
    LEARNED,
    LEDGER,
    MANUAL,
    PROMPTS,
    RECORDS,
    RESULT,
    SEARCH,
    UNIFORM,
)
from dpl_nas.io.sealed_tensors import load_sealed
from dpl_nas.strategy.result import read_records
from dpl_nas.training import load_prompts

__all__ = ["check_files"]

_Read = Callable[[Path], Any]

#: Files that a run makes again if they are removed.
_REMADE: dict[str, _Read] = {
    ARCHITECTURE: partial(read_sealed, remedy="remove it to make it again"),
    EVALUATIONS: partial(
        read_sealed, remedy=f"remove it and the {ARCHITECTURE} beside it to make both again"
    ),
    LEARNED: partial(load_sealed, names=None, remedy="remove it to train again"),
    PROMPTS: load_prompts,
    SEARCH: partial(read_sealed, remedy=f"remove it and {ARCHITECTURE} to search again"),
}
#: Files of what was done, from which others are made again.
_KEPT: dict[str, _Read] = {LEDGER: read_ledger, RECORDS: read_records}


def check_files(folder: Path) -> None:
    """Read all results in the folder of a run, and what a complete search has left.

    Raises
    ------
    CheckpointError
        If a file is damaged; the message says what to do.
    """
    complete = (folder / RESULT).exists()
    for place in (folder, folder / MANUAL, folder / UNIFORM):
        for name, read in _REMADE.items():
            if (place / name).exists():
                _check(place / name, read, complete=complete)
        # Before, the search itself reads them, and cuts off what was not finished.
        if (place / ARCHITECTURE).exists():
            for name, read in _KEPT.items():
                if (place / name).exists():
                    read(place / name)


def _check(file: Path, read: _Read, *, complete: bool) -> None:
    try:
        read(file)
    except CheckpointError as error:
        if not complete:
            raise
        # Otherwise the run would not go on.
        raise CheckpointError(f"{error}; remove {RESULT} of the run as well") from error
