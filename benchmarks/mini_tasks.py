"""The gates of the rendered tasks: the table of docs/mini_tasks.md.

    python -m benchmarks.mini_tasks --out runs/mini_tasks --seeds 1 2 3

measures for each task: zero-shot accuracy; with 16 shots a linear probe, and 4 vectors at every
layer of the text tower, of the image tower, and of both; and whether 20 random placements of 6
vectors are told apart (`dpl-nas diagnose separation`, two seeds). Nothing is chosen on test
images. What is measured is kept, so an interrupted program goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.comparison.statistics import estimate
from dpl_nas.config import resolve
from dpl_nas.diagnostics import measure_separation
from dpl_nas.diagnostics.truth import train_and_test
from dpl_nas.io.files import write_json, write_text
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.space import Architecture, Space
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.tasks.mini import MINI_TASKS
from dpl_nas.tasks.task import ImageSet
from dpl_nas.training.evaluation import score, zero_shot

LENGTH = 4
#: Least zero-shot accuracy as a multiple of chance; least distance of the probe from chance and of
#: the best contexts from zero-shot, in points.
TIMES_CHANCE, PROBE, CONTEXTS = 2, 15, 10
COLUMNS = ("chance", "zero-shot", "linear probe", "text", "image", "both")
#: Columns that train contexts.
DESIGNS = COLUMNS[3:]


def designs(space: Space) -> dict[str, Architecture]:
    """The same length at every layer of a tower or of both, by column."""
    return {
        name: space.architecture(
            {label: LENGTH if name in (tower, "both") else 0 for label, tower, _ in space.labels()}
        )
        for name in DESIGNS
    }


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


def measure_columns(task: str, folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the columns of a task, each a list of shares in 0..1."""
    config = resolve(f"mini/{task}", "mini_clip", "darts", shots=options.shots, seed=1)
    loaded, backbone = load_task(config.task), load_backbone(config.space.backbone)
    columns = {
        "chance": [1 / len(loaded.class_names)],
        "zero-shot": [
            score({"zero": zero_shot(loaded, backbone)}, loaded.test, backbone)["zero"].accuracy
        ],
        "linear probe": [
            linear_probe(backbone, loaded, options.shots, seed) for seed in options.seeds
        ],
    }
    chosen = designs(config.space)
    pairs = [(design, seed) for seed in options.seeds for design in chosen.values()]
    tested = train_and_test(config, pairs, folder / "contexts", jobs=options.jobs)
    for place, name in enumerate(chosen):
        columns[name] = [each.accuracy for each in tested[place :: len(chosen)]]
    return columns


def measure_separation_of(task: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return whether 20 placements of 6 vectors are told apart."""
    few = resolve(f"mini/{task}", "mini_clip_budget6", "darts", shots=options.shots, seed=1)
    separation = measure_separation(
        few, folder / "separation", configurations=20, seeds=2, jobs=options.jobs
    )
    return separation.as_dict()


PARTS: dict[str, Callable[[str, Path, argparse.Namespace], Any]] = {
    "columns": measure_columns,
    "separation": measure_separation_of,
}


def missed(row: Mapping[str, Any]) -> list[str]:
    """Return the gates that a task misses."""
    means = {name: mean(values) for name, values in row["columns"].items()}
    best = max(means[name] for name in DESIGNS)
    gates = {
        "zero-shot": means["zero-shot"] >= TIMES_CHANCE * means["chance"],
        "probe": 100 * (means["linear probe"] - means["chance"]) >= PROBE,
        "contexts": 100 * (best - means["zero-shot"]) >= CONTEXTS,
        "placements": "separation" not in row or row["separation"]["passed"],
    }
    return [name for name, passed in gates.items() if not passed]


def cell(values: list[float]) -> str:
    """Mean in percent and the half-width of its 95% t interval."""
    found = estimate([100 * value for value in values])
    mean = f"{found.mean:.1f}"
    return f"{mean} ± {found.half_width:.1f}" if found.half_width else mean


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines of Markdown; what is not measured is left blank."""
    heads = ("task", *COLUMNS, "6 vectors: worst to best of 20", "ratio", "gates")
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for task, row in rows.items():
        apart, fails = row.get("separation"), missed(row)
        cells = (
            task,
            *(cell(row["columns"][name]) for name in COLUMNS),
            f"{100 * apart['worst']:.1f} to {100 * apart['best']:.1f}" if apart else "",
            f"{apart['ratio']:.1f}" if apart else "",
            f"misses {', '.join(fails)}" if fails else "reached" if apart else "not all measured",
        )
        yield "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=sorted(MINI_TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=PARTS)
    options = parser.parse_args(arguments)
    rows = {}
    for name in options.tasks:
        file = options.out / name / "row.json"
        row = json.loads(file.read_text()) if file.exists() else {}
        for part, measure in PARTS.items():
            if part not in row and part in options.parts:
                row[part] = measure(name, file.parent, options)
                write_json(file, row)
                sys.stderr.write(f"{name} {part}: {json.dumps(row[part])}\n")
        rows[name] = row
    text = "\n".join(table(rows)) + "\n"
    write_text(options.out / "table.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
