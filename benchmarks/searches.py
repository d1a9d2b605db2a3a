"""Searches by several variants of strategies, and how good what they found is: a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from dpl_nas.comparison.statistics import estimate, holm, nested_interval, t_test
from dpl_nas.config import RunConfig, resolve
from dpl_nas.engine import Outcome
from dpl_nas.engine import measure as measure_images
from dpl_nas.io.files import read_json, write_json, write_text
from dpl_nas.process.pools import Pool
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
ALPHAS_ALONE = (
    "search.portfolio=0",
    "search.shortlist=0",
    "search.children=0",
    "search.finalists=0",
)

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
    parser.add_argument("--jobs", type=int, default=1, help="searches side by side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("changed", nargs="*", help="settings of all variants: train.epochs=2")
    return parser


def search_tasks(
    options: argparse.Namespace, variants: Mapping[str, Variant], images: Judged
) -> None:
    """Measure what is missing and print the table."""
    file = options.out / f"{options.space}.json"
    commit = _commit() if images == "test" else ""
    if commit:
        made = read_json(file)["commit"] if file.exists() else commit
        if made != commit:
            sys.exit(
                f"{file} is of commit {made[:12]}, this is {commit[:12]}: go on with that commit, "
                "or use another folder"
            )
        write_json(file, {"commit": commit})
    # Seeds outside, so that an interrupted program has measured every task equally often.
    cells = [
        _Cell(task, seed, options.out / options.space / task.replace("/", "-") / str(seed))
        for seed in options.seeds
        for task in options.tasks
    ]
    _measure(cells, options, {name: variants[name] for name in options.variants}, images)
    rows = {f"{each.task} {each.seed}": each.row() for each in cells}
    text = "\n".join(table(rows, options.variants, options.recipes)) + "\n"
    if commit:
        text += f"\nCommit {commit}, {options.budget}, {options.shots} shots.\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


@dataclass(frozen=True)
class _Cell:
    """A task and a seed, and the folder of its searches and of its row."""

    task: str
    seed: int
    folder: Path

    def row(self) -> dict[str, Any]:
        """What was measured of each variant."""
        file = self.folder / "row.json"
        return read_json(file) if file.exists() else {}

    def searched(self, name: str) -> Path:
        """The folder of a variant's search."""
        return self.folder / name.replace(" ", "-").replace(",", "")


def _measure(
    cells: Sequence[_Cell],
    options: argparse.Namespace,
    variants: Mapping[str, Variant],
    images: Judged,
) -> None:
    """Search by each variant where its result is missing, and judge what they found.

    Judging comes before the next search, so an interrupted program has whole rows.
    """
    missing = {
        cell: {name: each for name, each in variants.items() if name not in cell.row()}
        for cell in cells
    }
    waiting = deque((cell, name) for cell in cells for name in missing[cell])
    left = {cell: len(names) for cell, names in missing.items()}
    ready: deque[_Cell] = deque()
    running: dict[Future[None], tuple[_Cell, str | None]] = {}
    with Pool(options.jobs) as pool:
        while waiting or ready or running:
            while (waiting or ready) and len(running) < options.jobs:
                if ready:
                    cell = ready.popleft()
                    judging = pool.submit(_judge_cell, cell, missing[cell], options, images)
                    running[judging] = cell, None
                else:
                    cell, name = waiting.popleft()
                    running[pool.submit(_search, cell, name, variants[name], options)] = cell, name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                cell, searched = running.pop(future)
                if searched is None:
                    sys.stderr.write(f"{cell.task} {cell.seed}: {', '.join(missing[cell])}\n")
                    continue
                left[cell] -= 1
                if not left[cell]:
                    ready.append(cell)


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
    return resolve(
        task,
        options.space,
        variant.strategy,
        [*options.changed, *variant.changed],
        shots=options.shots,
        seed=seed,
        device=options.device,
    )


def _search(cell: _Cell, name: str, variant: Variant, options: argparse.Namespace) -> None:
    """Search by a variant, and keep what it found."""
    place = cell.searched(name)
    file = place / "found.json"
    if file.exists():
        return
    config = configured(cell.task, variant, cell.seed, options)
    found: dict[str, Any] = {}
    if variant.everywhere is None:
        place.mkdir(parents=True, exist_ok=True)
        result = make_strategy(config.strategy).search(
            Problem.of_run(config), SearchBudget.parse(options.budget), folder=place
        )
        found = {
            "validation": result.summary().validation_accuracy,
            "steps": result.cost.steps,
            "seconds": result.seconds,
        }
        architecture = result.architecture
    else:
        architecture = config.space.without_limits().uniform(variant.everywhere)
    found |= {"lengths": architecture.plain_lengths(), "vectors": architecture.vectors}
    write_json(file, found)


def _judge_cell(
    cell: _Cell, variants: Mapping[str, Variant], options: argparse.Namespace, images: Judged
) -> None:
    """Judge what the variants found, and keep it as a part of the row."""
    found: dict[str, Any] = {}
    architectures: dict[str, Architecture] = {}
    problem = Problem.of_run(configured(cell.task, Variant(), cell.seed, options))
    space = problem.space.without_limits()
    for name in variants:
        found[name] = read_json(cell.searched(name) / "found.json")
        architectures[name] = space.architecture_of(found[name]["lengths"])
    different = list(dict.fromkeys(architectures.values()))
    accuracies: dict[str, dict[str, float]] = {name: {} for name in variants}
    for times in options.recipes:
        judged = judge(problem, different, times, images)
        for name, architecture in architectures.items():
            accuracies[name][str(times)] = judged[architecture]
    found = {name: each | {"accuracy": accuracies[name]} for name, each in found.items()}
    write_json(cell.folder / "row.json", cell.row() | found)


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
    recipe = problem.recipe.with_lr(times * problem.recipe.optimizer.lr)
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
