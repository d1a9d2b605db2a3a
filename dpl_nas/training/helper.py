"""Process that :mod:`dpl_nas.training.distributed` starts, with arguments ``FOLDER RANK``."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dpl_nas.errors import DplError
from dpl_nas.io.files import write_json
from dpl_nas.training.distributed import Ranks, group, threads_shared

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Do this process's part of the job; the result equals the first process's and is dropped.

    Bad input is reported in ``FOLDER/error.RANK``; other errors go to stderr.
    """
    folder, rank = Path(arguments[0]), int(arguments[1])
    first = os.getppid()
    threading.Thread(target=_end_with, args=(first, folder), daemon=True).start()
    try:
        job: dict[str, Any] = torch.load(
            folder / "job", map_location={"cuda:0": f"cuda:{rank}"}, weights_only=False
        )
        backbone = job["backbone"]
        ranks = Ranks(rank, job["size"])
        if backbone.device.type == "cuda":
            torch.cuda.set_device(rank)
        (folder / f"ready.{rank}").touch()
        with threads_shared(ranks.size, backbone), group(folder, rank, ranks.size):
            job["work"](backbone=backbone, ranks=ranks)
    except DplError as error:
        write_json(folder / f"error.{rank}", {"kind": type(error).__name__, "message": str(error)})
        return 1
    except Exception:
        if _ended(first):
            # The first process was killed and could not remove the folder.
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return 0


def _end_with(process: int, folder: Path) -> None:
    """End the helper with the first process; before joining it would wait for half an hour."""
    while os.getppid() == process:
        time.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _ended(process: int) -> bool:
    """Return whether our parent ended; its connections close a moment before this shows."""
    for _ in range(20):
        if os.getppid() != process:
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
