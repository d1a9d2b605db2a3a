"""What settings of a search are worth on the development tasks (benchmarks/protocol.yml).

    python -m benchmarks.development --out runs/development --seeds 1 2 3

Each variant searches with the same shots and the same budget. What it finds is trained on all shots
and judged on the images of the training pool that nothing has seen; no test image is looked at.
It is trained with the recipe, and with half and twice its learning rate, to see whether an order
holds. Searches keep their ledgers and each result is kept, so an interrupted program goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.ablation import interval
from benchmarks.protocol import load_protocol
from dpl_nas.config import RunConfig, resolve
from dpl_nas.engine import measure as measure_images
from dpl_nas.io.files import write_json, write_text
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture
from dpl_nas.strategy import make_strategy
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluation import build_classifier
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem
from dpl_nas.training.stacks import split_evenly

__all__ = ["VARIANTS", "Variant", "main", "table"]


@dataclass(frozen=True)
class Variant:
    """A strategy, and what is changed in its preset, as on a command line."""

    strategy: str
    changed: tuple[str, ...] = ()


#: By name. The first is what others are compared with.
VARIANTS: dict[str, Variant] = {
    "darts": Variant("darts"),
    "darts, portfolio 1": Variant("darts", ("search.portfolio=1",)),
    "darts, portfolio 3": Variant("darts", ("search.portfolio=3",)),
    "darts, half the epochs": Variant("darts", ("search.epochs=30",)),
    "darts, half the epochs, portfolio 3": Variant(
        "darts", ("search.epochs=30", "search.portfolio=3")
    ),
    "manual": Variant("manual"),
    "random": Variant("random"),
    "random, portfolio 3": Variant("random", ("search.portfolio=3",)),
    "tpe": Variant("tpe"),
    "evolution": Variant("evolution"),
}
#: The learning rate of the training that is judged, as multiples of the recipe's.
RECIPES = (1.0, 0.5, 2.0)


def configured(task: str, name: str, seed: int, options: argparse.Namespace) -> RunConfig:
    """Return the configuration of a variant's search."""
    variant = VARIANTS[name]
    changed = [*options.changed, *variant.changed]
    return resolve(task, options.space, variant.strategy, changed, shots=options.shots, seed=seed)


def measure(
    task: str, seed: int, names: Sequence[str], folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Search by each variant, and judge what they found; rows by variant."""
    found: dict[str, Any] = {}
    architectures: dict[str, Architecture] = {}
    for name in names:
        config = configured(task, name, seed, options)
        place = folder / name.replace(" ", "-").replace(",", "")
        place.mkdir(parents=True, exist_ok=True)
        result = make_strategy(config.strategy).search(
            Problem.of_run(config), SearchBudget.parse(options.budget), folder=place
        )
        architectures[name] = result.architecture
        found[name] = {
            "lengths": result.architecture.plain_lengths(),
            "vectors": result.architecture.vectors,
            "validation": result.summary().validation_accuracy,
            "steps": result.cost.steps,
            "seconds": result.seconds,
            "accuracy": {},
        }
    problem = Problem.of_run(configured(task, names[0], seed, options))
    different = list(dict.fromkeys(architectures.values()))
    for times in RECIPES:
        judged = judge(problem, different, times)
        for name, architecture in architectures.items():
            found[name]["accuracy"][str(times)] = judged[architecture]
    return found


def judge(
    problem: Problem, architectures: Sequence[Architecture], times: float
) -> dict[Architecture, float]:
    """Train on all shots with so many times the learning rate; measure on the pool's other images.

    Returns
    -------
    dict
        Accuracies in 0..1.
    """
    recipe = problem.recipe
    optimizer = recipe.optimizer.model_copy(update={"lr": times * recipe.optimizer.lr})
    problem = replace(problem, recipe=recipe.model_copy(update={"optimizer": optimizer}))
    task, shots = problem.task, set(problem.shot_rows)
    unseen = [row for row in range(len(task.pool.labels)) if row not in shots]
    images = FewShotImages(task.pool, unseen, problem.backbone, "none")
    training = FewShotTraining(problem)
    return {
        architecture: measure_images(build_classifier(prompts, problem.backbone), images).accuracy
        for part in split_evenly(architectures, training.stack_size)
        for architecture, prompts in zip(part, training.train_stack(part), strict=True)
    }


def table(rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """Yield lines of Markdown: means over tasks, and intervals with the task as the unit.

    Parameters
    ----------
    rows
        By ``task seed``: what :func:`measure` returns.
    """
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    heads = ("variant", *tasks, "mean", f"against {names[0]}", "half lr", "twice lr", "vectors")
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)

    def of_tasks(name: str, times: float) -> list[float]:
        return [
            mean(row[name]["accuracy"][str(times)] for key, row in rows.items() if task in key)
            for task in tasks
        ]

    for name in names:
        if not all(name in row for row in rows.values()):
            continue
        cells = [name, *(f"{100 * each:.1f}" for each in of_tasks(name, 1.0))]
        cells.append(f"{100 * mean(of_tasks(name, 1.0)):.1f}")
        for times in RECIPES:
            ahead = [
                one - other
                for one, other in zip(of_tasks(name, times), of_tasks(names[0], times), strict=True)
            ]
            cells.append("" if name == names[0] else interval(ahead))
        cells.append(f"{mean(row[name]['vectors'] for row in rows.values()):.0f}")
        yield "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.development",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="mini_clip_budget12")
    parser.add_argument("--tasks", nargs="+", default=list(load_protocol().development))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--budget", default="10-trials")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("changed", nargs="*", help="settings of all variants: train.epochs=2")
    options = parser.parse_args(arguments)
    refused = set(options.tasks) & set(load_protocol().held_out)
    if refused:
        parser.error(f"no setting is chosen on held-out tasks: leave out {', '.join(refused)}")
    rows: dict[str, dict[str, Any]] = {}
    # Seeds outside, so that an interrupted program has measured every task equally often.
    for seed in options.seeds:
        for task in options.tasks:
            folder = options.out / options.space / task.replace("/", "-") / str(seed)
            file = folder / "row.json"
            row = json.loads(file.read_text()) if file.exists() else {}
            missing = [name for name in options.variants if name not in row]
            if missing:
                row |= measure(task, seed, missing, folder, options)
                write_json(file, row)
                sys.stderr.write(f"{task} {seed}: {', '.join(missing)}\n")
            rows[f"{task} {seed}"] = row
    text = "\n".join(table(rows, options.variants)) + "\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
