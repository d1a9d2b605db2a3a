"""Every embedded task under every kind of prompt: the table of docs/mini_tasks.md.

    python -m benchmarks.mini_tasks --out runs/mini_tasks --seeds 1 2 3

Nothing is chosen on test images. Each row is kept as soon as it is measured, so an
interrupted program goes on where it stopped. ``random`` is one draw of lengths a seed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.comparison.statistics import estimate
from dpl_nas.config import load_strategy
from dpl_nas.io.files import write_json, write_text
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, load_space
from dpl_nas.strategy import DARTS
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.tasks.mini import MINI_TASKS
from dpl_nas.tasks.task import ImageSet
from dpl_nas.training.evaluation import build_classifier, score, zero_shot
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem

LENGTH = 4
#: What the alphas choose by themselves: nothing is trained and compared beside it, and the search
#: ends once they agree with themselves.
ALONE = {
    "shortlist": 0,
    "early_stop": {"patience": 15, "min_epochs": 30, "max_entropy": 0.9},
}
COLUMNS = ("chance", "zero-shot", "linear probe", "text", "image", "both", "random", "found")


def one_tower(space: Space, tower: str, length: int) -> Architecture:
    """The same length at every layer of one tower, none in the other."""
    return space.architecture(
        {label: length if found == tower else 0 for label, found, _ in space.labels()}
    )


def random_lengths(space: Space, seed: int) -> Architecture:
    """Every layer's length drawn from the space, each as likely as the others."""
    draw = random.Random(derive_seed(seed, "random lengths"))
    return space.architecture(
        {label: draw.choice(space.towers[tower].lengths) for label, tower, _ in space.labels()}
    )


@torch.no_grad()
def features(backbone: Backbone, images: ImageSet, rows: list[int]) -> np.ndarray:
    """Unit image features (rows, embed) of the plain backbone."""
    model = PromptedCLIP(backbone, {})
    parts = []
    for start in range(0, len(rows), 100):
        batch = [backbone.preprocess(images.image(row)) for row in rows[start : start + 100]]
        found = model.encode_image(torch.stack(batch).to(backbone.device))
        parts.append(torch.nn.functional.normalize(found, dim=-1).cpu().numpy())
    return np.concatenate(parts)


def linear_probe(backbone: Backbone, task: Task, shots: int, seed: int) -> float:
    """Test accuracy of logistic regression (C = 10, not tuned) on the few-shot features."""
    from sklearn.linear_model import LogisticRegression

    rows = list(few_shot_split(task, shots, seed).shots)
    probe = LogisticRegression(C=10.0, max_iter=2000)
    probe.fit(features(backbone, task.train, rows), [task.train.labels[row] for row in rows])
    every = list(range(len(task.test.labels)))
    return float(probe.score(features(backbone, task.test, every), list(task.test.labels)))


def measure(
    space: Space, backbone: Backbone, task: Task, shots: int, seed: int, strategy_name: str
) -> dict[str, object]:
    """All columns of one task and seed, accuracies in 0..1."""
    strategy = load_strategy(strategy_name)
    started = time.perf_counter()
    search = DARTS(**{**strategy.search.model_dump(), **ALONE}).search(
        space, task, shots=shots, seed=seed, backbone=backbone
    )
    designs = {
        "text": one_tower(space, "text", LENGTH),
        "image": one_tower(space, "image", LENGTH),
        "both": space.uniform(LENGTH),
        "random": random_lengths(space, seed),
        "found": search.architecture,
    }
    problem = Problem.of(
        space, task, shots=shots, seed=seed, recipe=strategy.train, backbone=backbone
    )
    trained = FewShotTraining(problem).train_stack(list(designs.values()))
    classifiers = {"zero-shot": zero_shot(task, backbone)}
    for name, prompts in zip(designs, trained, strict=True):
        classifiers[name] = build_classifier(prompts, backbone)
    tested = score(classifiers, task.test)
    return {
        "accuracy": {
            "chance": 1 / len(task.class_names),
            "linear probe": linear_probe(backbone, task, shots, seed),
            **{name: metrics.accuracy for name, metrics in tested.items()},
        },
        "vectors": {name: design.vectors for name, design in designs.items()},
        "found": search.architecture.describe(),
        "search": search.summary().model_dump(mode="json"),
        "search_seconds": search.seconds,
        "seconds": time.perf_counter() - started,
    }


def cell(values: list[float]) -> str:
    """Mean in percent and the half-width of its 95% t interval."""
    found = estimate([100 * value for value in values])
    mean = f"{found.mean:.1f}"
    return f"{mean} ± {found.half_width:.1f}" if found.half_width else mean


def table(rows: dict[str, dict[str, object]], tasks: list[str], seeds: list[int]) -> Iterator[str]:
    """Lines of Markdown; tasks without any measured seed are left out."""
    yield "| task | " + " | ".join(COLUMNS) + " | vectors found |"
    yield "|" + " --- |" * (len(COLUMNS) + 2)
    for task in tasks:
        found = [rows[f"{task} {seed}"] for seed in seeds if f"{task} {seed}" in rows]
        if not found:
            continue
        cells = [cell([row["accuracy"][column] for row in found]) for column in COLUMNS]  # type: ignore[index]
        vectors = ", ".join(str(row["vectors"]["found"]) for row in found)  # type: ignore[index]
        yield f"| {task} | " + " | ".join(cells) + f" | {vectors} |"


def summary(rows: dict[str, dict[str, object]], tasks: list[str]) -> str:
    """How far found lengths are ahead of the others, in points, on the mean over tasks."""
    means: dict[str, list[float]] = {}
    vectors: dict[str, list[float]] = {}
    for task in tasks:
        found = [row for key, row in rows.items() if key.split()[0] == task]
        for column in ("text", "image", "both", "random", "found"):
            accuracies = [row["accuracy"][column] for row in found]  # type: ignore[index]
            means.setdefault(column, []).append(100 * float(np.mean(accuracies)))
            lengths = [row["vectors"][column] for row in found]  # type: ignore[index]
            vectors.setdefault(column, []).append(float(np.mean(lengths)))
    mean = {column: float(np.mean(values)) for column, values in means.items()}
    counted = {column: float(np.mean(values)) for column, values in vectors.items()}
    ahead = ", ".join(
        f"{mean['found'] - mean[column]:+.1f} to {column} ({counted[column]:.0f} vectors)"
        for column in ("text", "image", "both", "random")
    )
    return f"found ({counted['found']:.0f} vectors) on the mean over {len(tasks)} tasks: {ahead}"


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=sorted(MINI_TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--strategy", default="darts")
    options = parser.parse_args()
    file = options.out / "rows.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    space = load_space("mini_clip")
    backbone = load_backbone(space.backbone)
    # Seeds outside, so that an interrupted program has measured every task equally often.
    for seed in options.seeds:
        for name in options.tasks:
            key = f"{name} {seed}"
            if key in rows:
                continue
            rows[key] = measure(
                space, backbone, load_task(f"mini/{name}"), options.shots, seed, options.strategy
            )
            write_json(file, rows)
            sys.stderr.write(f"{key}: {json.dumps(rows[key])}\n")
    lines = [*table(rows, options.tasks, options.seeds), "", summary(rows, options.tasks)]
    text = "\n".join(lines) + "\n"
    write_text(options.out / "table.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
