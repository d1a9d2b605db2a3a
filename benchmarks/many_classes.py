"""Peak memory of whole programs with a thousand classes: ``python -m benchmarks.many_classes``.

A miniature of ImageNet in its own layout is written to a temporary folder: small images of noise,
and names that the embedded CLIP knows. Training, test and search of ``coop/ImageNet`` are then
programs of their own, with an epoch each; more epochs or images repeat the same steps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dpl_nas.mini.render import COLOURS, TEXTURES
from dpl_nas.mini.silhouettes import SHAPES

__all__ = ["Peak", "measure", "write_imagenet"]

_SIZE = 32
_SEED = 1


@dataclass(frozen=True)
class Peak:
    """What a program took: its largest resident memory in GB, and seconds."""

    gb: float
    seconds: float


def write_imagenet(root: Path, classes: int, shots: int) -> None:
    """Write ``classes`` classes with ``shots`` training images and a test image each.

    Raises
    ------
    ValueError
        If there are fewer names.
    """
    names = [" ".join(words) for words in itertools.product(COLOURS, TEXTURES, SHAPES)]
    if classes > len(names):
        raise ValueError(f"expected at most {len(names)} classes, found {classes}")
    folder = root / "imagenet"
    draw = np.random.default_rng(_SEED)
    lines = []
    for number, name in enumerate(names[:classes]):
        lines.append(f"n{number:08} {name}\n")
        for part, count in (("train", shots), ("val", 1)):
            place = folder / "images" / part / f"n{number:08}"
            place.mkdir(parents=True)
            for image in range(count):
                pixels = draw.integers(0, 256, (_SIZE, _SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{image}.JPEG")
    (folder / "classnames.txt").write_text("".join(lines))


def measure(command: Sequence[str]) -> Peak:
    """Run a program, and return what it took.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as program:  # noqa: S603 - our own
        # Only this call tells the peak of one program rather than of all so far.
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {program.returncode}")
    return Peak(used.ru_maxrss * 1024 / 1e9, time.perf_counter() - started)


def _programs(root: Path, space: str) -> dict[str, list[str]]:
    program = [sys.executable, "-m", "dpl_nas"]
    task = ["--task", "coop/ImageNet", "--data", str(root), "--space", space, "--shots", "2"]
    trained, found = str(root / "trained"), str(root / "found")
    epochs = ["search.epochs=1", "search.warmup_epochs=0", "search.portfolio=0"]
    epochs += ["search.shortlist=0", "search.children=0"]
    return {
        "train": [*program, "train", *task, "--length", "4", "--out", trained, "train.epochs=1"],
        "evaluate": [*program, "evaluate", trained],
        "search": [*program, "search", *task, "--strategy", "darts", "--out", found, *epochs],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--space", default="mini_clip")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    peaks: dict[str, Peak] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_imagenet(Path(folder), options.classes, shots=2)
        for name, command in _programs(Path(folder), options.space).items():
            peaks[name] = measure(command)
            if not options.json:
                sys.stdout.write(
                    f"{name:10} {peaks[name].gb:6.2f} GB {peaks[name].seconds:8.0f} s\n"
                )
                sys.stdout.flush()
    if options.json:
        rows = {name: asdict(peak) for name, peak in peaks.items()}
        sys.stdout.write(json.dumps({"classes": options.classes, **rows}) + "\n")


if __name__ == "__main__":
    main()
