"""A search with short trials side by side against whole trials in turn: seconds and exactness.

    python -m benchmarks.search --repeats 3

Ten classes, 16 shots, ten architectures on the embedded CLIP, 12 vectors. Three ways take turns in
one process: trials of all epochs of the recipe one by one, as searches once were; those of
search.trial_share one by one; and these side by side. The medians of their seconds are compared.
The largest difference of a validation loss says how exact the trials side by side are.
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
from dpl_nas.engine import FewShotTrials, TrialSettings
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.threads import share_cores
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import SearchResult
from dpl_nas.strategy.registry import strategy_class
from dpl_nas.training.problem import Problem

__all__ = ["Speed", "main", "measure"]


@dataclass(frozen=True)
class Speed:
    """The median seconds of a search in three ways.

    Attributes
    ----------
    ratio
        Seconds of whole trials one by one, as a multiple of those of short ones side by side.
    difference
        Largest relative difference of a validation loss between the two ways of short trials.
    same
        Whether these found the same architecture.
    """

    strategy: str
    trials: int
    whole_s: float
    one_by_one_s: float
    side_by_side_s: float
    ratio: float
    difference: float
    same: bool


def measure(name: str, options: argparse.Namespace) -> Speed:
    """Search in all ways, in turns."""
    changed = [f"train.epochs={options.epochs}"] if options.epochs else []
    config = resolve(options.task, options.space, name, changed, shots=options.shots, seed=1)
    problem = Problem.of_run(config)
    short = config.strategy.search
    whole = short.model_copy(update={"trial_share": 1.0})
    ways = ((whole, True), (short, True), (short, False))
    seconds: tuple[list[float], ...] = ([], [], [])
    for _ in range(options.repeats):
        results: list[SearchResult] = []
        for (settings, alone), found in zip(ways, seconds, strict=True):
            strategy = strategy_class(name)(**settings.model_dump(mode="json"))
            trials = TrialSettings(problem, settings)
            cost = FewShotTrials(trials).cost(trials.epochs).steps
            budget = SearchBudget(steps=options.trials * cost)
            # How a search was before its trials were trained in stacks.
            with patch.object(FewShotTrials, "stack_size", 1) if alone else nullcontext():
                results.append(strategy.search(problem, budget))
            found.append(results[-1].seconds)
    one, other = (
        {each.architecture: each for each in result.evaluations} for result in results[1:]
    )
    both = [
        (first.outcome.loss, second.outcome.loss)
        for architecture, first in one.items()
        if first.outcome and (second := other.get(architecture)) and second.outcome
    ]
    whole_s, alone_s, stacked_s = (median(each) for each in seconds)
    return Speed(
        strategy=name,
        trials=len(one),
        whole_s=whole_s,
        one_by_one_s=alone_s,
        side_by_side_s=stacked_s,
        ratio=whole_s / stacked_s,
        difference=max((abs(a - b) / a for a, b in both), default=0.0),
        same=results[1].architecture == results[2].architecture,
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
    parser.add_argument("--strategies", nargs="+", default=["random", "manual"])
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
    heads = (
        "strategy",
        "trials",
        "whole s",
        "one by one s",
        "side by side s",
        "ratio",
        "difference",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += [
        f"| {row.strategy} | {row.trials} | {row.whole_s:.1f} | {row.one_by_one_s:.1f} | "
        f"{row.side_by_side_s:.1f} | {row.ratio:.2f} | {row.difference:.0e} |"
        for row in rows
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
