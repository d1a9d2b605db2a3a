"""How long the tasks of pictures take to load: ``python -m benchmarks.loading``.

Each task is loaded in a process of its own, as nothing is decoded there yet; the seconds are those
of ``load_task``, without Python's start and torch's import. Then 2000 thumbnails are decoded, the
first of the gallery and scattered ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from statistics import median

from dpl_nas.errors import TaskError
from dpl_nas.tasks.gallery.loading import name_gallery_tasks
from dpl_nas.tasks.gallery.photographs import find_photographs

__all__ = ["time_loading", "time_thumbnails"]

_LOAD = """
import sys, time
from dpl_nas.tasks import load_task
import dpl_nas.tasks.gallery.loading
started = time.perf_counter()
load_task(sys.argv[1])
print(time.perf_counter() - started)
"""
_DECODE = """
import sys, time
import numpy as np
from dpl_nas.gallery import load_gallery
gallery, count = load_gallery(), int(sys.argv[2])
scattered = np.random.default_rng(0).permutation(len(gallery.pictures))
rows = scattered if sys.argv[1] == "scattered" else np.arange(len(gallery.pictures))
started = time.perf_counter()
gallery.thumbnails(rows[:count])
print(time.perf_counter() - started)
"""


def time_loading(task: str) -> float:
    """Return the seconds that a task takes to load."""
    return _run(_LOAD, task)


def time_thumbnails(order: str, count: int = 2000) -> float:
    """Return the seconds that decoding takes; ``order`` is ``first`` or ``scattered``."""
    return _run(_DECODE, order, str(count))


def _run(code: str, *arguments: str) -> float:
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [f"pictures/{name}" for name in name_gallery_tasks()]
    try:
        find_photographs()
    except TaskError:
        names.remove("pictures/photos")
    rounds = range(options.rounds)
    rows = {name: median(time_loading(name) for _ in rounds) for name in names}
    for order in ("first", "scattered"):
        rows[f"2000 thumbnails, {order}"] = median(time_thumbnails(order) for _ in rounds)
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    for name, seconds in rows.items():
        sys.stdout.write(f"{name:28} {seconds:6.2f} s\n")


if __name__ == "__main__":
    main()
