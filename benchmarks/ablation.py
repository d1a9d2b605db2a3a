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
from scipy import stats

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.budget import weighted_draws
from dpl_nas.config import load_strategy
from dpl_nas.files import write_json, write_text
from dpl_nas.processes import Pool
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, load_space
from dpl_nas.strategy import DARTS, GumbelDARTS
from dpl_nas.strategy.result import softmax
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluate import prompted
from dpl_nas.training.train import FewShotTraining

SHOTS = 16
DRAWS = 3
#: What differs from strategies/darts.yml. The first row is the strategy itself.
ROWS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without the constraint": {"constraint": None},
    "the budget holds from the first step": {"constraint": {"anneal": 0.0}},
    "the budget holds at the last step only": {"constraint": {"anneal": 1.0}},
    "alpha lr 0.05": {"alphas": {"lr": 0.05}},
    "warm-up of 10 epochs": {"warmup_epochs": 10},
    "twice as many epochs": {"epochs": 120},
    "shared vectors": {"shared_vectors": True},
    "Gumbel softmax": {"gumbel": True},
}


def measure(space_name: str, task_name: str, row: str, seed: int) -> dict[str, Any]:
    """One search, and what it chose."""
    changes = dict(ROWS[row])
    space = load_space(space_name)
    if changes.pop("shared_vectors", False):
        space = space.model_copy(update={"shared_vectors": True})
    kind = GumbelDARTS if changes.pop("gumbel", False) else DARTS
    strategy = load_strategy("darts")
    settings = strategy.search.model_dump(mode="json")
    for key, value in changes.items():
        whole = isinstance(settings.get(key), dict) and isinstance(value, dict)
        settings[key] = {**settings[key], **value} if whole else value
    task = load_task(f"mini/{task_name}")
    backbone = load_backbone(space.backbone)
    search = kind(**{**settings, "shortlist": 0}).search(
        space, task, shots=SHOTS, seed=seed, train=strategy.train, backbone=backbone
    )
    last = search.records[-1]
    unseen = Unseen(space_name, task, backbone, seed)
    weights = {label: softmax(logits) for label, logits in last.alpha.items()}
    draw = weighted_draws(space, weights)
    rng = random.Random(derive_seed(seed, "ablation"))
    return {
        "accuracy": unseen.accuracy(search.architecture),
        "drawn": [unseen.accuracy(draw(rng)) for _ in range(DRAWS)],
        "entropy": last.mean_entropy,
        "lengths": {tower: list(part) for tower, part in search.architecture.lengths.items()},
        "steps": search.cost.steps,
        "seconds": search.seconds,
    }


class Unseen:
    """The images of the training pool that are in no few-shot draw of a seed."""

    def __init__(self, space_name: str, task: Task, backbone: Backbone, seed: int) -> None:
        split = few_shot_split(task, SHOTS, seed, "split", None)
        seen = {*split.train, *split.validation}
        self._rows = [row for row in range(len(task.train.labels)) if row not in seen]
        self._images = FewShotImages(task.train, self._rows, backbone, "none")
        self._backbone = backbone
        self._training = FewShotTraining(
            load_space(space_name),
            task,
            backbone,
            split.train,
            shots=SHOTS,
            seed=seed,
            settings=load_strategy("darts").train,
        )

    def accuracy(self, architecture: Architecture) -> float:
        """Of one that is trained as in a trial, in 0..1."""
        classifier = prompted(self._training.train(architecture), self._backbone)
        correct = 0
        for start in range(0, len(self._rows), 100):
            rows = list(range(start, min(start + 100, len(self._rows))))
            pixels, labels = self._images.batch(rows, seed=0)
            correct += int((classifier.predict(pixels) == labels).sum())
        return correct / len(self._rows)


def interval(values: Sequence[float]) -> str:
    """Mean in points and the half-width of its 95% t interval."""
    mean = 100 * float(np.mean(values))
    if len(values) < 2 or float(np.ptp(values)) == 0:
        return f"{mean:+.1f}"
    error = 100 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:+.1f} ± {error * float(stats.t.ppf(0.975, len(values) - 1)):.1f}"


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
        ahead = (accuracies - default).mean(axis=(0, 2)).tolist()
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
