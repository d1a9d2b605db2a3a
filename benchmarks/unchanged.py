"""Shows that a change of the code changes no result: bit for bit, before and after.

::

    git stash; python -m benchmarks.unchanged record before.json; git stash pop
    python -m benchmarks.unchanged record after.json
    python -m benchmarks.unchanged compare before.json after.json

``record`` runs the demo and six strategies under a limit of 6 context vectors, each with a fixed
seed and one thread, and keeps lengths, accuracies and the SHA-256 of every tensor that was
trained. Another checkout is measured with ``--source FOLDER``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors import safe_open

__all__ = ["CASES", "differences", "measure"]

_SMALL = ("--task", "mini/mirror", "--space", "mini_clip_budget6", "--shots", "4", "--seed", "3")
_BRIEF = ("train.epochs=3",)

#: Arguments of ``dpl-nas run`` by name.
CASES: Mapping[str, tuple[str, ...]] = {
    "demo": ("--task", "mini/digits", "--shots", "16", "--seed", "1", "--budget", "5-trials"),
    "darts": (
        *_SMALL,
        *("--strategy", "darts", "--budget", "12-trials"),
        *(*_BRIEF, "search.epochs=6", "search.shortlist=3"),
    ),
    "random": (*_SMALL, "--strategy", "random", "--budget", "4-trials", *_BRIEF),
    "halving": (
        *_SMALL,
        *("--strategy", "halving", "--budget", "3-trials"),
        *("train.epochs=9", "search.min_epochs=1"),
    ),
    "one_shot": (
        *_SMALL,
        *("--strategy", "one_shot", "--budget", "10-trials"),
        *(*_BRIEF, "search.epochs=4", "search.population_size=4", "search.generations=2"),
        "search.shortlist=2",
    ),
    "evolution": (
        *_SMALL,
        *("--strategy", "evolution", "--budget", "8-trials"),
        *(*_BRIEF, "search.population_size=4", "search.sample_size=2"),
    ),
    "tpe": (
        *_SMALL,
        *("--strategy", "tpe", "--budget", "8-trials"),
        *(*_BRIEF, "search.startup_trials=4"),
    ),
}


def measure(source: Path, case: str) -> dict[str, Any]:
    """Lengths, accuracies and digests of tensors of one case, run by the code in ``source``.

    Raises
    ------
    RuntimeError
        If the run fails; the message has what it wrote to stderr.
    """
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-m", "dpl_nas", "run", *CASES[case]]
        done = subprocess.run(  # noqa: S603 - the program under test
            [*command, "--out", str(out), "--quiet"],
            env=environment,
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{case} ended with {done.returncode}: {done.stderr}")
        result = json.loads((out / "result.json").read_text("utf-8"))
        evaluations = json.loads((out / "evaluations.json").read_text("utf-8"))
        # The manual design was called uniform up to version 0.1.
        test = {name.replace("uniform", "manual"): part for name, part in result["test"].items()}
        return {
            "lengths": result["lengths"],
            "manual": test["manual"]["lengths"],
            "accuracy": {name: part["accuracy"] for name, part in test.items()},
            "macro_f1": {name: part["macro_f1"] for name, part in test.items()},
            "validation_accuracy": result["validation_accuracy"],
            "steps": result["search"]["steps"],
            "trials": [
                [each["lengths"], each["epochs"], each["accuracy"], each["loss"]]
                for part in ("ranking", "others")
                for each in evaluations[part]
            ],
            "tensors": {
                str(file.relative_to(out)).replace("uniform", "manual"): _digests(file)
                for file in sorted(out.rglob("prompts.safetensors"))
            },
        }


def _digests(file: Path) -> dict[str, str]:
    with safe_open(file, framework="np") as opened:
        return {
            name: hashlib.sha256(opened.get_tensor(name).tobytes()).hexdigest()
            for name in sorted(opened.keys())
        }


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """The places, such as ``darts.lengths.image``, at which two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted({*before, *after}):
            place = f"{where}.{key}" if where else str(key)
            found += differences(before.get(key), after.get(key), place)
        return found
    return [] if before == after else [f"{where}: {before} became {after}"]


def main() -> None:
    """Record, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="run all cases")
    record.add_argument("out", type=Path)
    record.add_argument("--source", type=Path, default=Path(__file__).parents[1])
    record.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    record.add_argument("--jobs", type=int, default=2)
    compare = commands.add_parser("compare", help="tell what differs")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        with ThreadPoolExecutor(options.jobs) as pool:
            measured = pool.map(lambda case: measure(options.source.resolve(), case), options.only)
            found = dict(zip(options.only, measured, strict=True))
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    before, after = (
        json.loads(each.read_text("utf-8")) for each in (options.before, options.after)
    )
    different = differences(before, after)
    told = [*different, f"{len(before)} cases, {len(different)} differences"]
    sys.stdout.write("\n".join(told) + "\n")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
