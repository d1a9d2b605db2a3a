"""What each part of ``strategies/darts.yml`` is good for: the table of docs/comparison.md.

    python -m benchmarks.ablation --out runs/ablation --seeds 1 2 3 --jobs 2

Each row searches with one setting changed and without a shortlist, then trains what the alphas
choose, and a few draws by softmax(alpha), on the search's own training images. They are judged on
all images of the training pool that neither search nor training has seen; no test image is looked
at. Each search is kept as soon as it is measured, so an interrupted program goes on where it
stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.searches import ALPHAS_ALONE, interval
from dpl_nas.config import resolve
from dpl_nas.engine import measure as measure_images
from dpl_nas.io.files import write_json, write_text
from dpl_nas.process.pools import Pool
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture
from dpl_nas.space.fitting import weighted_draws
from dpl_nas.strategy import make_strategy
from dpl_nas.strategy.logits import softmax
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluation import build_classifier
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem

SHOTS = 16
DRAWS = 3
#: What differs from strategies/darts.yml, as on a command line. The first row is the strategy.
ROWS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "without the constraint": ("search.constraint=null",),
    "the limit holds from the first step": ("search.constraint.anneal=0",),
    "the limit holds at the last step only": ("search.constraint.anneal=1",),
    "alpha lr 0.05": ("search.alphas.lr=0.05",),
    "warm-up of 10 epochs": ("search.warmup_epochs=10",),
    "twice as many epochs": ("search.epochs=120",),
    "half as many epochs": ("search.epochs=30",),
    "shared vectors": ("space.shared_vectors=true",),
    "Gumbel softmax": (),
}


def measure(space: str, task_name: str, row: str, seed: int) -> dict[str, Any]:
    """One search, what it chose, and a few draws."""
    strategy = "gumbel_darts" if row == "Gumbel softmax" else "darts"
    overrides = [*ROWS[row], *ALPHAS_ALONE]
    config = resolve(f"mini/{task_name}", space, strategy, overrides, shots=SHOTS, seed=seed)
    problem = Problem.of_run(config)
    task, backbone = problem.task, problem.backbone
    search = make_strategy(config.strategy).search(problem)
    split = problem.split(config.strategy.search)
    training = FewShotTraining(problem, split.train)
    seen = {*split.train, *split.validation}
    unseen = [each for each in range(len(task.train.labels)) if each not in seen]
    images = FewShotImages(task.train, unseen, backbone, "none")

    def accuracy(architecture: Architecture) -> float:
        return measure_images(
            build_classifier(training.train(architecture), backbone), images
        ).accuracy

    last = search.records[-1]
    weights = {label: softmax(logits) for label, logits in last.alpha.items()}
    draw = weighted_draws(config.space, weights)
    rng = random.Random(derive_seed(seed, "ablation"))
    return {
        "accuracy": accuracy(search.architecture),
        "drawn": [accuracy(draw(rng)) for _ in range(DRAWS)],
        "entropy": last.mean_entropy,
        "lengths": {tower: list(part) for tower, part in search.architecture.lengths.items()},
        "steps": search.cost.steps,
        "seconds": search.seconds,
    }


def table(found: dict[str, Any], tasks: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    """Lines of Markdown; a row is there once all of its searches are."""
    first = next(iter(ROWS))

    def values(row: str) -> np.ndarray | None:
        """(tasks, seeds, choice and draws)."""
        keys = [[f"{task} {row} {seed}" for seed in seeds] for task in tasks]
        if not all(key in found for part in keys for key in part):
            return None
        return np.array(
            [[[found[k]["accuracy"], *found[k]["drawn"]] for k in part] for part in keys]
        )

    yield (f"| darts.yml, but | {' | '.join(tasks)} | choice | draws | all, against as it is |")
    yield "|" + " --- |" * (len(tasks) + 4)
    default = values(first)
    for row in ROWS:
        accuracies = values(row)
        if accuracies is None or default is None:
            continue
        by_task = [f"{100 * each:.1f}" for each in accuracies.mean(axis=(1, 2))]
        ahead = (100 * (accuracies - default)).mean(axis=(0, 2)).tolist()
        yield (
            f"| {row} | {' | '.join(by_task)} | {100 * accuracies[..., 0].mean():.1f} | "
            f"{100 * accuracies[..., 1:].mean():.1f} | {'' if row == first else interval(ahead)} |"
        )


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="mini_clip_budget6")
    parser.add_argument("--tasks", nargs="+", default=["mirror", "squeezed"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    file = options.out / f"{options.space}.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    wanted = [
        (task, row, seed)
        for row in options.rows
        for seed in options.seeds
        for task in options.tasks
    ]
    missing = [each for each in wanted if " ".join(map(str, each)) not in found]
    if missing:
        with Pool(options.jobs) as pool:
            futures = {
                pool.submit(measure, options.space, *each): " ".join(map(str, each))
                for each in missing
            }
            for future in as_completed(futures):
                key = futures[future]
                found[key] = future.result()
                write_json(file, found)
                sys.stderr.write(f"{key}: {json.dumps(found[key])}\n")
    text = "\n".join(table(found, options.tasks, options.seeds)) + "\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
