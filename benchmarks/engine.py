"""What a trial of a search takes beside its training: ``python -m benchmarks.engine``.

For each strategy that trains architectures one by one, milliseconds between the end of a trial and
the start of the next: choosing the architecture, the ledger (on disk, fsync), the observer. Trials
are not trained here, their outcomes are made up, so that the figures are those of the engine and
the strategy alone. The last trials count as well as the first: nothing may grow with the ledger.
"""

# ruff: noqa: T201 - a benchmark prints its result
from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dpl_nas
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.engine import FewShotTrials, Outcome
from dpl_nas.process.threads import share_cores
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture
from dpl_nas.strategy.registry import strategy_class

STRATEGIES = ("random", "evolution", "tpe", "halving", "manual")


class Times:
    """Stands in for :meth:`FewShotTrials.run`, and notes when it is called."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._ended: float | None = None

    def run(self, architecture: Architecture, *_: Any, **__: Any) -> tuple[Outcome, float]:
        """An outcome that depends on the architecture alone."""
        now = time.perf_counter()
        if self._ended is not None:
            self.gaps.append(1000 * (now - self._ended))
        digest = hashlib.sha256(architecture.describe().encode()).digest()
        self._ended = time.perf_counter()
        return Outcome(digest[0] / 256, 1.0 + digest[1] / 256, 256), 0.0


def measure(name: str, space_name: str, trials: int, backbone: Backbone) -> dict[str, object]:
    """Milliseconds a trial."""
    times = Times()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(FewShotTrials, "run", lambda _, *given, **named: times.run(*given, **named)),
    ):
        started = time.perf_counter()
        result = strategy_class(name)().search(
            dpl_nas.load_space(space_name),
            dpl_nas.load_task("mini/digits"),
            SearchBudget(trials=trials),
            backbone=backbone,
            folder=Path(folder),
        )
        seconds = time.perf_counter() - started
    late = times.gaps[-max(len(times.gaps) // 10, 1) :]
    return {
        "strategy": name,
        "space": space_name,
        "trials": len(result.evaluations),
        "median_ms": round(statistics.median(times.gaps), 1),
        "p95_ms": round(statistics.quantiles(times.gaps, n=20)[-1], 1),
        "median_of_last_tenth_ms": round(statistics.median(late), 1),
        "whole_search_s": round(seconds, 1),
    }


def main() -> None:
    """Print one JSON object a strategy and space."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--spaces", nargs="+", default=["mini_clip", "mini_clip_budget24"])
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    backbone = load_backbone(dpl_nas.load_space(options.spaces[0]).backbone)
    for space in options.spaces:
        for strategy in options.strategies:
            print(json.dumps(measure(strategy, space, options.trials, backbone)), flush=True)


if __name__ == "__main__":
    share_cores()
    main()
