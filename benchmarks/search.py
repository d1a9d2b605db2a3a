"""A search with its trials side by side against one trial at a time: seconds and exactness.

    python -m benchmarks.search --repeats 3

Ten classes, 16 shots, ten trials on the embedded CLIP, 12 vectors. Both ways take turns in one
process, and the medians of their seconds are compared. The largest difference of a validation
loss says how exact the trials side by side are; the supernet of darts is the same both ways.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from statistics import median
from unittest.mock import patch

from dpl_nas.config import resolve
from dpl_nas.engine import FewShotTrials
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.threads import share_cores
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import SearchResult
from dpl_nas.strategy.registry import strategy_class
from dpl_nas.training.problem import Problem

__all__ = ["Speed", "main", "measure"]


@dataclass(frozen=True)
class Speed:
    """The median seconds of a search in both ways.

    Attributes
    ----------
    difference
        Largest relative difference of a trial's validation loss.
    same
        Whether both ways found the same architecture.
    """

    strategy: str
    trials: int
    one_by_one_s: float
    side_by_side_s: float
    ratio: float
    difference: float
    same: bool


def measure(name: str, options: argparse.Namespace) -> Speed:
    """Search in both ways, in turns."""
    changed = [f"train.epochs={options.epochs}"] if options.epochs else []
    config = resolve(options.task, options.space, name, changed, shots=options.shots, seed=1)
    problem = Problem.of_run(config)
    strategy = strategy_class(name)(**config.strategy.search.model_dump(mode="json"))
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.repeats):
        results: list[SearchResult] = []
        for alone, found in zip((True, False), seconds, strict=True):
            # How a search was before its trials were trained in stacks.
            with patch.object(FewShotTrials, "stack_size", 1) if alone else nullcontext():
                results.append(strategy.search(problem, SearchBudget(trials=options.trials)))
            found.append(results[-1].seconds)
    one, other = ({each.architecture: each for each in result.evaluations} for result in results)
    both = [
        (first.outcome.loss, second.outcome.loss)
        for architecture, first in one.items()
        if first.outcome and (second := other.get(architecture)) and second.outcome
    ]
    alone_s, stacked_s = (median(each) for each in seconds)
    return Speed(
        strategy=name,
        trials=len(one),
        one_by_one_s=alone_s,
        side_by_side_s=stacked_s,
        ratio=alone_s / stacked_s,
        difference=max((abs(a - b) / a for a, b in both), default=0.0),
        same=results[0].architecture == results[1].architecture,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    share_cores()
    keep_freed_memory()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--strategies", nargs="+", default=["random", "manual", "darts"])
    parser.add_argument("--task", default="mini/digits")
    parser.add_argument("--space", default="mini_clip_budget12")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, help="of a trial, if not those of the recipe")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = [measure(name, options) for name in options.strategies]
    if options.json:
        sys.stdout.write(json.dumps({"rows": [asdict(row) for row in rows]}) + "\n")
        return
    heads = ("strategy", "trials", "one by one s", "side by side s", "ratio", "difference")
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += [
        f"| {row.strategy} | {row.trials} | {row.one_by_one_s:.1f} | {row.side_by_side_s:.1f} | "
        f"{row.ratio:.2f} | {row.difference:.0e} |"
        for row in rows
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
