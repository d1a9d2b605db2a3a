"""Searches by several variants of strategies, and how good what they found is: a table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from dpl_nas.comparison.statistics import estimate, holm, nested_interval, t_test
from dpl_nas.config import RunConfig, resolve
from dpl_nas.engine import Outcome
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

__all__ = [
    "ALPHAS_ALONE",
    "RECIPES",
    "Variant",
    "configured",
    "judge",
    "search_parser",
    "search_tasks",
    "table",
    "train_and_measure",
]

#: What to judge on: images of the training pool that nothing has seen, or the test images.
Judged = Literal["unseen", "test"]

#: Settings of a search without trials, so that the alphas alone choose.
ALPHAS_ALONE = ("search.portfolio=0", "search.shortlist=0", "search.children=0")

#: The learning rate of the training that is judged, as multiples of the recipe's.
RECIPES = (1.0, 0.5, 2.0)


@dataclass(frozen=True)
class Variant:
    """A strategy, and what is changed in its preset, as on a command line; or a plain design.

    Attributes
    ----------
    everywhere
        Length at every layer, without a search and beyond all limits.
    """

    strategy: str = "manual"
    changed: tuple[str, ...] = ()
    everywhere: int | None = None


def search_parser(
    name: str, text: str | None, variants: Mapping[str, Variant]
) -> argparse.ArgumentParser:
    """Return a parser of what all programs of searches are asked for."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="mini_clip_budget12")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", choices=list(variants), default=list(variants))
    parser.add_argument("--budget", default="10-trials")
    parser.add_argument("--shots", type=int, default=16)
    told = "multiples of the learning rate to train with; the first, 1, is the recipe's own"
    parser.add_argument("--recipes", nargs="+", type=float, default=list(RECIPES), help=told)
    parser.add_argument("changed", nargs="*", help="settings of all variants: train.epochs=2")
    return parser


def search_tasks(
    options: argparse.Namespace, variants: Mapping[str, Variant], images: Judged
) -> None:
    """Measure what is missing and print the table."""
    file = options.out / f"{options.space}.json"
    commit = _commit()
    if images == "test":
        made = json.loads(file.read_text())["commit"] if file.exists() else commit
        if made != commit:
            sys.exit(
                f"{file} is of commit {made[:12]}, this is {commit[:12]}: go on with that commit, "
                "or use another folder"
            )
        write_json(file, {"commit": commit})
    rows: dict[str, dict[str, Any]] = {}
    # Seeds outside, so that an interrupted program has measured every task equally often.
    for seed in options.seeds:
        for task in options.tasks:
            folder = options.out / options.space / task.replace("/", "-") / str(seed)
            kept = folder / "row.json"
            row = json.loads(kept.read_text()) if kept.exists() else {}
            missing = {name: variants[name] for name in options.variants if name not in row}
            if missing:
                row |= _search_by_each(task, seed, missing, folder, options, images)
                write_json(kept, row)
                sys.stderr.write(f"{task} {seed}: {', '.join(missing)}\n")
            rows[f"{task} {seed}"] = row
    text = "\n".join(table(rows, options.variants, options.recipes)) + "\n"
    if images == "test":
        text += f"\nCommit {commit}, {options.budget}, {options.shots} shots.\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


def _commit() -> str:
    """The last commit that has changed the package, the strategies or the spaces."""
    from shutil import which

    root = Path(__file__).parents[1]
    command = [which("git") or "git", "log", "-1", "--format=%H", "--"]
    command += ["dpl_nas", "strategies", "search_spaces"]
    asked = subprocess.run(  # noqa: S603 - a constant command
        command, cwd=root, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def configured(task: str, variant: Variant, seed: int, options: argparse.Namespace) -> RunConfig:
    """Return the configuration of a variant's search."""
    changed = [*options.changed, *variant.changed]
    return resolve(task, options.space, variant.strategy, changed, shots=options.shots, seed=seed)


def _search_by_each(
    task: str,
    seed: int,
    variants: Mapping[str, Variant],
    folder: Path,
    options: argparse.Namespace,
    images: Judged,
) -> dict[str, Any]:
    """Search by each variant, and judge what they found; rows by variant."""
    found: dict[str, Any] = {}
    architectures: dict[str, Architecture] = {}
    for name, variant in variants.items():
        config = configured(task, variant, seed, options)
        if variant.everywhere is None:
            place = folder / name.replace(" ", "-").replace(",", "")
            place.mkdir(parents=True, exist_ok=True)
            result = make_strategy(config.strategy).search(
                Problem.of_run(config), SearchBudget.parse(options.budget), folder=place
            )
            found[name] = {
                "validation": result.summary().validation_accuracy,
                "steps": result.cost.steps,
                "seconds": result.seconds,
            }
            architectures[name] = result.architecture
        else:
            architectures[name] = config.space.without_limits().uniform(variant.everywhere)
            found[name] = {}
        found[name] |= {
            "lengths": architectures[name].plain_lengths(),
            "vectors": architectures[name].vectors,
            "accuracy": {},
        }
    problem = Problem.of_run(configured(task, next(iter(variants.values())), seed, options))
    different = list(dict.fromkeys(architectures.values()))
    for times in options.recipes:
        judged = judge(problem, different, times, images)
        for name, architecture in architectures.items():
            found[name]["accuracy"][str(times)] = judged[architecture]
    return found


def judge(
    problem: Problem,
    architectures: Sequence[Architecture],
    times: float,
    images: Judged,
) -> dict[Architecture, float]:
    """Train on all shots with so many times the learning rate; measure on other images.

    Returns
    -------
    dict
        Accuracies in 0..1, in the order of ``architectures``.
    """
    recipe = problem.recipe
    optimizer = recipe.optimizer.model_copy(update={"lr": times * recipe.optimizer.lr})
    recipe = recipe.model_copy(update={"optimizer": optimizer})
    problem = replace(problem, recipe=recipe, space=problem.space.without_limits())
    task = problem.task
    among = task.test if images == "test" else task.pool
    seen = set(problem.shot_rows) if images == "unseen" else set()
    rows = [row for row in range(len(among.labels)) if row not in seen]
    others = FewShotImages(among, rows, problem.backbone, "none")
    outcomes = train_and_measure(problem, architectures, problem.shot_rows, others)
    return {one: found.accuracy for one, found in zip(architectures, outcomes, strict=True)}


def train_and_measure(
    problem: Problem,
    architectures: Sequence[Architecture],
    rows: Sequence[int],
    images: FewShotImages,
) -> list[Outcome]:
    """Train architectures side by side on ``rows``, and measure each on ``images``, in order."""
    training = FewShotTraining(problem, rows)
    return [
        measure_images(build_classifier(prompts, problem.backbone), images)
        for part in split_evenly(architectures, training.stack_size)
        for prompts in training.train_stack(part)
    ]


def table(
    rows: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    recipes: Sequence[float] = RECIPES,
) -> Iterator[str]:
    """Yield lines of Markdown: means over tasks, and how far the first of the names is ahead.

    The unit is the task: there are the t interval of the tasks' means, the interval of the
    hierarchical bootstrap over tasks and seeds, and the p of the t test over tasks, corrected with
    Holm's method.

    Parameters
    ----------
    rows
        By ``task seed``, then by variant.
    recipes
        Multiples of the learning rate, 1 first.
    """
    names = [name for name in names if all(name in row for row in rows.values())]
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    first = names[0]

    def of_tasks(name: str, times: float, less: str | None = None) -> list[list[float]]:
        """Points by task and seed."""
        values = {
            key: 100 * (row[name]["accuracy"][str(times)])
            - (100 * row[less]["accuracy"][str(times)] if less else 0)
            for key, row in rows.items()
        }
        return [[v for key, v in values.items() if key.split()[0] == task] for task in tasks]

    def ahead(name: str, times: float) -> list[float]:
        return [fmean(each) for each in of_tasks(first, times, name)]

    others = [name for name in names if name != first]
    p_values = {name: t_test(ahead(name, 1.0)) for name in others}
    told = [p for p in p_values.values() if p is not None]
    corrected = dict(
        zip([n for n, p in p_values.items() if p is not None], holm(told), strict=True)
    )
    heads = ("variant", *tasks, "mean", "vectors", f"{first} is ahead", "bootstrap", "corrected p")
    heads = (*heads, *(f"lr x {times:g}" for times in recipes[1:]))
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for name in names:
        means = [fmean(each) for each in of_tasks(name, 1.0)]
        cells = [name, *(f"{each:.1f}" for each in means), f"{fmean(means):.1f}"]
        cells.append(f"{fmean(row[name]['vectors'] for row in rows.values()):.0f}")
        if name == first:
            yield "| " + " | ".join([*cells, *[""] * (2 + len(recipes))]) + " |"
            continue
        nested = nested_interval(of_tasks(first, 1.0, name), seed=0)
        cells.append(interval(ahead(name, 1.0)))
        cells.append(f"{nested.low:+.1f} to {nested.high:+.1f}" if nested else "")
        cells.append(f"{corrected[name]:.3f}" if name in corrected else "")
        cells += [interval(ahead(name, times)) for times in recipes[1:]]
        yield "| " + " | ".join(cells) + " |"


def interval(points: Sequence[float]) -> str:
    """Write a mean and the half-width of its 95% t interval."""
    found = estimate(points)
    return f"{found.mean:+.1f}" + (f" ± {found.half_width:.1f}" if found.half_width else "")
