"""What bfloat16 costs in accuracy: ``python -m benchmarks.precision --seeds 1 2 3``.

On embedded tasks: zero-shot, and 4 context vectors at every layer trained with the default
recipe, in float32 and in bfloat16 (autocast), on the same images and with the same seeds.
"""

# ruff: noqa: T201 - a benchmark prints its result
from __future__ import annotations

import argparse
import json

import dpl_nas
from dpl_nas.backbone import load_backbone
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.threads import share_cores
from dpl_nas.training.evaluation import build_classifier, score, zero_shot

LENGTH = 4


def measure(task_name: str, seed: int, shots: int) -> dict[str, object]:
    """Test accuracies by precision."""
    task = dpl_nas.load_task(task_name)
    row: dict[str, object] = {"task": task_name, "seed": seed, "shots": shots}
    for precision in ("fp32", "bf16"):
        space = dpl_nas.load_space("mini_clip")
        backbone = load_backbone(space.backbone.model_copy(update={"precision": precision}))
        prompts = dpl_nas.train(
            space.uniform(LENGTH), space, task, shots=shots, seed=seed, backbone=backbone
        )
        classifiers = {
            "zero_shot": zero_shot(task, backbone),
            "uniform": build_classifier(prompts, backbone),
        }
        found = score(classifiers, task.test, backbone)
        row[precision] = {name: metrics.accuracy for name, metrics in found.items()}
    return row


def main() -> None:
    """Print one JSON object a task and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["mini/digits", "mini/mirror"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--shots", type=int, default=16)
    options = parser.parse_args()
    for task in options.tasks:
        for seed in options.seeds:
            print(json.dumps(measure(task, seed, options.shots)), flush=True)


if __name__ == "__main__":
    share_cores()
    keep_freed_memory()
    main()
