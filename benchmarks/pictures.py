"""The gates of the tasks of real pictures: the table of docs/pictures.md.

    python -m benchmarks.pictures --out runs/pictures --jobs 2

measures for each task: zero-shot accuracy; with 16 shots a linear probe, 4 vectors at every layer
of both towers (96), and of six manual designs with 12 vectors the one that validates best; and
whether 20 random placements of 6 vectors are told apart (`dpl-nas diagnose separation`). That is
tried with two seeds and 4 to 16 shots, the fewer the more classes; if it does not show, with 16
shots, then with five seeds. Nothing is chosen on test images. What is measured is kept, so an
interrupted program goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.mini_tasks import cell, linear_probe
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig, resolve
from dpl_nas.diagnostics import measure_separation
from dpl_nas.diagnostics.truth import train_and_test
from dpl_nas.io.files import write_json, write_text
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import Manual
from dpl_nas.tasks import Task, load_task
from dpl_nas.tasks.gallery.recipes import PHOTOS, RECIPES
from dpl_nas.training.evaluation import score, zero_shot
from dpl_nas.training.problem import Problem

PARTS = ("head", "manual", "separation", "contexts")
#: The parts that gates ask for; the last one stands beside them.
GATES = PARTS[:3]
LENGTH = 4
#: Manual designs that are tried.
DESIGNS = 6
#: Images in all, and shots, with which placements are compared at first, to save hours.
FEW_IMAGES, FEW_SHOTS = 200, (16, 8, 4)
FEW_SEEDS = (2, 5)
#: Least zero-shot accuracy where only the style is unseen, as a multiple of chance.
TIMES_CHANCE = 2
#: Least distance of the probe from chance, and of contexts from zero-shot, in points.
PROBE, CONTEXTS = 15, 8
COLUMNS = (
    "task",
    "unseen",
    "classes",
    "chance",
    "zero-shot",
    "linear probe",
    "4 everywhere",
    "manual, 12",
    "6 vectors: shots, seeds",
    "worst to best of 20",
    "ratio",
    "gates",
)


def configure(task: str, space: str, shots: int, options: argparse.Namespace) -> RunConfig:
    """Return the configuration of a run on a task of pictures."""
    changed = [f"device={options.device}"]
    if options.weights is not None:
        changed.append(f"space.backbone.pretrained={options.weights}")
    return resolve(f"pictures/{task}", space, "darts", changed, shots=shots, seed=1)


def few_shots(classes: int) -> int:
    """Return the shots with which placements are told apart."""
    fit = (shots for shots in FEW_SHOTS if shots * classes <= FEW_IMAGES)
    return next(fit, FEW_SHOTS[-1])


def measure_head(task: Task, backbone: Backbone, options: argparse.Namespace) -> dict[str, Any]:
    """Return what needs no prompts: chance, zero-shot, the linear probe."""
    tested = score({"zero": zero_shot(task, backbone)}, task.test, backbone)
    probes = [linear_probe(backbone, task, options.shots, seed) for seed in options.seeds]
    return {
        "classes": len(task.class_names),
        "chance": 1 / len(task.class_names),
        "zero_shot": tested["zero"].accuracy,
        "probe": probes,
    }


def measure_manual(name: str, folder: Path, options: argparse.Namespace) -> list[float]:
    """Return the accuracy of the manual design that validates best, for each seed."""
    config = configure(name, options.space, options.shots, options)
    problem = Problem.of_run(config)
    found = [
        Manual().search(problem.having(seed=seed), SearchBudget(trials=DESIGNS)).architecture
        for seed in options.seeds
    ]
    pairs = list(zip(found, options.seeds, strict=True))
    return [each.accuracy for each in train_and_test(config, pairs, folder, jobs=options.jobs)]


def separate(
    configured: Callable[[int], RunConfig], classes: int, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Return whether 20 placements are told apart, by the cheapest measurement that shows it."""
    few = (few_shots(classes), FEW_SEEDS[0])
    for shots, seeds in dict.fromkeys([few, *((options.shots, seeds) for seeds in FEW_SEEDS)]):
        found = measure_separation(
            configured(shots),
            folder / str(shots),
            configurations=20,
            seeds=seeds,
            jobs=options.jobs,
        )
        if found.passed:
            break
    return found.as_dict()


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing of a task; accuracies in 0..1."""
    folder = options.out / name
    file = folder / "row.json"
    row = json.loads(file.read_text()) if file.exists() else {"seconds": 0.0}
    whole = configure(name, "mini_clip", options.shots, options)
    parts: dict[str, Callable[[], Any]] = {
        "head": lambda: measure_head(
            load_task(whole.task), load_backbone(whole.space.backbone, options.device), options
        ),
        "manual": lambda: measure_manual(name, folder / "manual", options),
        "separation": lambda: separate(
            lambda shots: configure(name, options.few_space, shots, options),
            row["head"]["classes"],
            folder / "separation",
            options,
        ),
        "contexts": lambda: [
            tested.accuracy
            for tested in train_and_test(
                whole,
                [(whole.space.uniform(LENGTH), seed) for seed in options.seeds],
                folder / "contexts",
                jobs=options.jobs,
            )
        ],
    }
    for part, measured in parts.items():
        if part not in row and part in options.parts:
            started = time.perf_counter()
            row[part] = measured()
            row["seconds"] += time.perf_counter() - started
            write_json(file, row)
            sys.stderr.write(f"{name} {part}: {json.dumps(row[part])}\n")
    return dict(row)


def missed(name: str, row: Mapping[str, Any]) -> list[str]:
    """Return the gates that a task misses, as far as it is measured."""
    head, found = row["head"], []
    if level(name) == "style" and head["zero_shot"] < TIMES_CHANCE * head["chance"]:
        found.append("zero-shot")
    if 100 * (mean(head["probe"]) - head["chance"]) < PROBE:
        found.append("probe")
    if "manual" in row and 100 * (mean(row["manual"]) - head["zero_shot"]) < CONTEXTS:
        found.append("contexts")
    if "separation" in row and not row["separation"]["passed"]:
        found.append("separation")
    return found


def level(name: str) -> str:
    """Return what is unseen in a task."""
    return (PHOTOS if name == "photos" else RECIPES[name]).level


def verdict(name: str, row: Mapping[str, Any]) -> str:
    """Return which gates a task reaches."""
    if fails := missed(name, row):
        return f"misses {', '.join(fails)}"
    return "reached" if set(GATES) <= set(row) else "not all measured"


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of Markdown, accuracies in percent; what is not measured is left blank."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + " --- |" * len(COLUMNS)
    for name, row in rows.items():
        head, separation = row["head"], row.get("separation")
        cells = (
            name,
            level(name),
            str(head["classes"]),
            f"{100 * head['chance']:.1f}",
            f"{100 * head['zero_shot']:.1f}",
            cell(head["probe"]),
            *(cell(row[part]) if part in row else "" for part in ("contexts", "manual")),
            f"{separation['shots']}, {separation['seeds']}" if separation else "",
            f"{100 * separation['worst']:.1f} to {100 * separation['best']:.1f}"
            if separation
            else "",
            f"{separation['ratio']:.1f}" if separation else "",
            verdict(name, row),
        )
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=[*RECIPES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--space", default="mini_clip_budget12")
    parser.add_argument("--few-space", default="mini_clip_budget6", help="of the placements")
    parser.add_argument("--weights", type=Path, help="of the embedded CLIP, if not those shipped")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="what to measure")
    options = parser.parse_args()
    rows = {name: measure(name, options) for name in options.tasks}
    lines = list(table(rows))
    hours = sum(row["seconds"] for row in rows.values()) / 3600
    passed = sum(line.endswith("| reached |") for line in lines)
    text = "\n".join([*lines, "", f"{passed} of {len(rows)} tasks reach all; {hours:.1f} h"]) + "\n"
    write_text(options.out / "table.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
