"""What ``dpl-nas fit`` is worth: beside a linear probe and 4 everywhere, calibrated or not.

    python -m benchmarks.classifier --out runs/classifier --jobs 2

For each task and seed, a fit is made as users make it, and tested on all test images. The linear
probe is the one of best score by cross-fitting; 4 everywhere is trained with the same recipe. The
expected calibration error is that of the fitted classifier with and without its temperature. A
share of test images is called unknown: of tasks whose test images are drawn as the training images
are (``mini/*``), it should be at most what was asked for. Nothing is chosen on test images. Each
row is kept, so an interrupted program goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import torch

from benchmarks.searches import interval
from dpl_nas.classifier.calibration import calibration_error
from dpl_nas.classifier.candidates import Candidate, make_candidates
from dpl_nas.classifier.fitting import FitSettings, Preset, fit, shots_of
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.classifier.saved import SavedClassifier
from dpl_nas.config import load_strategy
from dpl_nas.io.files import read_json, write_json, write_text
from dpl_nas.process.pools import Pool
from dpl_nas.tasks import load_task
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.problem import Problem

TASKS = (
    "mini/digits",
    "mini/mirror",
    "mini/squeezed",
    "mini/letters",
    "pictures/clipart",
    "pictures/vehicles",
    "pictures/faces",
    "pictures/styles",
)
SHARES = (0.05, 0.1)
_BATCH = 100


def measure(
    task_name: str, seed: int, shots: int, preset: Preset, space: str, changed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the figures of a task and seed."""
    warnings.simplefilter("ignore")
    task, strategy = load_task(task_name), load_strategy("darts")
    recipe = strategy.train.model_copy(update=dict(changed))
    problem = Problem.of(space, task, shots=shots_of(task, shots), seed=seed, recipe=recipe)
    found = fit(problem, FitSettings(preset=preset), strategy)
    saved = SavedClassifier.of(found, task.class_labels, task.background)
    probes = [
        each.candidate for each in found.evidence if each.candidate.name.startswith("linear probe")
    ]
    everywhere = Candidate("4 everywhere", problem.space.without_limits().uniform(4))
    free = problem.having(space=problem.space.without_limits())
    probe, four = make_candidates(free, [probes[0], everywhere], found.rows)
    images = FewShotImages(task.test, range(len(task.test.labels)), problem.backbone, "none")
    fitted = saved.classifier(problem.backbone)
    logits = {
        "fit": _logits(fitted, images),
        "linear probe": _logits(probe.classifier(problem.backbone, task), images),
        "4 everywhere": _logits(four.classifier(problem.backbone, task), images),
    }
    calibrated = (logits["fit"] / fitted.temperature).softmax(dim=1)
    confidence = calibrated.max(dim=1).values
    return {
        "chosen": found.chosen.candidate.name,
        "seconds": found.seconds,
        "validation": found.judged.accuracy,
        "accuracy": {
            name: float((each.argmax(dim=1) == images.labels).double().mean())
            for name, each in logits.items()
        },
        "error_before": calibration_error(logits["fit"].softmax(dim=1), images.labels),
        "error": calibration_error(calibrated, images.labels),
        "unknown": {
            str(share): float((confidence < saved.threshold(share)).double().mean())
            for share in SHARES
        },
    }


def _logits(classifier: ImageClassifier, images: FewShotImages) -> torch.Tensor:
    parts = images.parts(_BATCH)
    return torch.cat([classifier.logits(images.batch(part, 0)[0]) for part in parts])


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines of Markdown: a line a task, the means over its seeds; then the mean over tasks.

    Parameters
    ----------
    rows
        By ``task seed``.
    """
    names = ("fit", "linear probe", "4 everywhere")
    heads = ("task", *names, "error without", "with temperature")
    heads = (*heads, *(f"unknown at {share:.0%}" for share in SHARES), "seconds")
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    means: list[list[float]] = []
    for task in tasks:
        own = [row for key, row in rows.items() if key.split()[0] == task]
        values = [fmean(100 * row["accuracy"][name] for row in own) for name in names]
        values += [fmean(100 * row[name] for row in own) for name in ("error_before", "error")]
        values += [fmean(100 * row["unknown"][str(share)] for row in own) for share in SHARES]
        means.append([*values, fmean(row["seconds"] for row in own)])
        yield f"| {task} | " + " | ".join(f"{value:.1f}" for value in means[-1]) + " |"
    whole = [fmean(column) for column in zip(*means, strict=True)]
    yield "| mean | " + " | ".join(f"{value:.1f}" for value in whole) + " |"
    yield ""
    for place, name in enumerate(names[1:], start=1):
        ahead = interval([row[0] - row[place] for row in means])
        yield f"The fit is ahead of {name} by {ahead} points over tasks."
    yield f"The temperature leaves {whole[4] / whole[3]:.0%} of the calibration error."


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.classifier",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--preset", choices=get_args(Preset), default="quick")
    parser.add_argument("--space", default="mini_clip")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="epochs of the recipe, for a quick look")
    options = parser.parse_args(arguments)
    changed = {} if options.epochs is None else {"epochs": options.epochs}
    file = options.out / f"{options.space}-{options.preset}-{options.shots}.json"
    rows: dict[str, Any] = read_json(file) if file.exists() else {}
    wanted = [(task, seed) for seed in options.seeds for task in options.tasks]
    missing = [each for each in wanted if f"{each[0]} {each[1]}" not in rows]
    if missing:
        with Pool(options.jobs) as pool:
            futures = {
                pool.submit(
                    measure, *each, options.shots, options.preset, options.space, changed
                ): f"{each[0]} {each[1]}"
                for each in missing
            }
            for future in as_completed(futures):
                rows[futures[future]] = future.result()
                write_json(file, rows)
                sys.stderr.write(f"{futures[future]}: {json.dumps(future.result())}\n")
    keys = [f"{task} {seed}" for task, seed in wanted]
    text = "\n".join(table({key: rows[key] for key in keys})) + "\n"
    write_text(file.with_suffix(".md"), text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
