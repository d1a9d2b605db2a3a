"""All methods on the tasks of pictures, under three protocols: what ``make bench`` runs.

    python -m benchmarks.results --out runs/results --jobs 2

Few-shot on all classes; base-to-new on the halves of the classes; and pictures/objects with its
four shifts. One rule for all: methods in the towers are trained for as many epochs, and a small
search on the shots chooses the learning rate, or what other methods have in its place (``--recipe
tuned``). Each is tested after its last step, so nothing is chosen on test images. An interrupted
program goes on; OUT/results.md has the tables, and how they were made.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dpl_nas.bench import BenchCell, BenchPlan, Protocol, run_bench, write_bench
from dpl_nas.comparison.formats import time as shown_time
from dpl_nas.comparison.tables import markdown
from dpl_nas.config import TrainSettings
from dpl_nas.io.files import read_json, write_json, write_text
from dpl_nas.io.versions import software_versions
from dpl_nas.methods import METHODS
from dpl_nas.process.threads import usable_cores
from dpl_nas.space import load_space

__all__ = ["SHIFTS", "TASKS", "main"]

#: Tasks whose style alone is unseen and that reach all gates of docs/pictures.md, and the
#: development tasks of pictures (benchmarks/protocol.yml). No setting of a method was chosen on
#: any of them.
TASKS = (
    "pictures/animals",
    "pictures/faces",
    "pictures/professions",
    "pictures/styles",
    "pictures/vehicles",
)
#: The task that is learned from, and what it is tested on.
SHIFTS = (
    "pictures/objects",
    "pictures/objects-v2",
    "pictures/objects-sketch",
    "pictures/objects-r",
    "pictures/objects-a",
)
_PROTOCOLS: dict[str, Protocol] = {
    "few-shot": "few-shot",
    "base-to-new": "base-to-new",
    "shifts": "domain-generalization",
}
_DURATION = "seconds.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.results",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--shifts", nargs="+", default=list(SHIFTS))
    parser.add_argument("--protocols", nargs="+", default=list(_PROTOCOLS), choices=_PROTOCOLS)
    recipes = ["published", "problem", "tuned"]
    parser.add_argument("--recipe", choices=recipes, default="tuned")
    parser.add_argument("--epochs", type=int, default=10, help="unless the recipe is published")
    parser.add_argument("--space", default="mini_clip")
    parser.add_argument("--budget", help="of each search of METHOD@STRATEGY")
    parser.add_argument("--baseline", help="method that all others are compared with")
    options = parser.parse_args(arguments)
    # What one method cannot do must not be found out after hours of others.
    plans = {name: _plan(name, options) for name in options.protocols}
    found: dict[str, list[BenchCell]] = {}
    for name, plan in plans.items():
        found[name] = _run(plan, options.out / name, options.jobs)
    command = shlex.join(["python", "-m", "benchmarks.results", *(arguments or sys.argv[1:])])
    text = _page(found, options.out, command, options.baseline)
    write_text(options.out / "results.md", text)
    sys.stdout.write(text)


def _plan(name: str, options: argparse.Namespace) -> BenchPlan:
    return BenchPlan(
        protocol=_PROTOCOLS[name],
        tasks=tuple(options.shifts if name == "shifts" else options.tasks),
        methods=tuple(options.methods),
        shots=(options.shots,),
        seeds=tuple(options.seeds),
        recipe=options.recipe,
        train=TrainSettings(epochs=options.epochs),
        budget=options.budget,
        space=load_space(options.space),
    )


def _run(plan: BenchPlan, folder: Path, jobs: int) -> list[BenchCell]:
    """Run a plan, and add the wall-clock seconds of this part to those of earlier ones."""
    began = time.perf_counter()
    file = folder / _DURATION
    try:
        return run_bench(plan, folder, jobs=jobs)
    finally:
        if folder.exists():
            before = read_json(file)["seconds"] if file.exists() else 0.0
            write_json(file, {"seconds": before + time.perf_counter() - began})


def _page(
    found: dict[str, list[BenchCell]], folder: Path, command: str, baseline: str | None
) -> str:
    cells = [cell for own in found.values() for cell in own]
    wall = sum(read_json(folder / name / _DURATION)["seconds"] for name in found)
    work = sum(cell.seconds for cell in cells)
    failed = sum(cell.error is not None for cell in cells)
    versions = software_versions("dpl_nas", "torch", "open_clip_torch", "scikit-learn")
    made = (
        f"Made on {datetime.now(UTC).date()} by `{command}`: {len(cells)} cells, {failed} of them "
        f"failed; {shown_time(wall)}, of which methods learned for {shown_time(work)} in processes "
        f"side by side, on {usable_cores()} cores of {platform.machine()} "
        f"({', '.join(f'{name} {text}' for name, text in versions.items())})."
    )
    lines = [made, ""]
    for name, own in found.items():
        tables = write_bench(own, folder / name, baseline=baseline, command=command)
        lines += [markdown(tables.summary), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
