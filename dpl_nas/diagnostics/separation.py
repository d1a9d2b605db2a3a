"""A diagnostic: whether a task tells configurations apart. If not, comparisons say nothing."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpl_nas.config import RunConfig
from dpl_nas.console import watched
from dpl_nas.diagnostics.truth import train_and_test
from dpl_nas.errors import SpaceError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space
from dpl_nas.space.fitting import count as count_architectures
from dpl_nas.space.fitting import distinct_sample

__all__ = ["GATE", "Separation", "draw_architectures", "measure_separation", "separation"]

#: The least ratio of a task that tells configurations apart.
GATE = 2.0


@dataclass(frozen=True)
class Separation:
    """The spread of configurations, in accuracy 0..1.

    Attributes
    ----------
    spread
        Standard deviation of the configurations' true means: the root of the variance of their
        measured means less the part of the seeds, ``SE ** 2`` (one-way random effects).
    measured_spread
        Standard deviation of the configurations' measured means.
    error
        Standard error of a configuration's mean over the seeds, pooled over configurations.
    ratio
        Quotient ``measured_spread / error``.
    """

    task: str
    space: str
    shots: int
    configurations: int
    seeds: int
    mean: float
    worst: float
    best: float
    spread: float
    measured_spread: float
    error: float
    ratio: float

    __repr__ = short_repr

    @property
    def passed(self) -> bool:
        """Whether the task tells configurations apart."""
        # The ratio of two configurations may be the least one exactly, but for rounding.
        return round(self.ratio, 9) >= GATE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "gate": GATE, "passed": self.passed}


def draw_architectures(space: Space, count: int, seed: int, least: int = 1) -> list[Architecture]:
    """Draw different architectures uniformly from all that fit; all of them in a small space.

    Raises
    ------
    SpaceError
        If there are fewer than ``least``.
    """
    if (fitting := count_architectures(space)) < least:
        raise SpaceError(
            f"the diagnostic needs at least {least} architectures that fit, found {fitting} in "
            f"space {space.name}: give a larger space"
        )
    return distinct_sample(space, random.Random(derive_seed(seed, "study")), count)


@checked()
def measure_separation(
    config: RunConfig,
    folder: AnyPath,
    *,
    configurations: int = 20,
    seeds: int = 5,
    jobs: int = 1,
    observer: Observer | None = None,
    quiet: bool = False,
) -> Separation:
    """Measure the spread of random architectures, each trained and tested with several seeds.

    The seeds are ``config.seed`` and those after it. An interrupted diagnostic goes on.

    Parameters
    ----------
    jobs
        Number of trainings side by side.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    SpaceError
        If the space has a single architecture.
    OutputError
        If ``folder`` holds anything but this diagnostic, or cannot be written.
    """
    folder = Path(folder)
    chosen = draw_architectures(config.space, configurations, config.seed, least=2)
    numbers = range(config.seed, config.seed + seeds)
    with watched(observer, quiet=quiet) as watching:
        tested = train_and_test(
            config,
            # In the order of the seeds: an interrupted diagnostic has measured all equally often.
            [(architecture, seed) for seed in numbers for architecture in chosen],
            folder,
            jobs=jobs,
            observer=watching,
        )
    accuracy = np.array([each.accuracy for each in tested]).reshape(seeds, len(chosen)).T
    result = separation(config.task, config.space.name, config.shots, accuracy)
    write_json(folder / "separation.json", result.as_dict())
    return result


def separation(task: str, space: str, shots: int, accuracy: Any) -> Separation:
    """Compute the separation from accuracies (configurations, seeds) in 0..1.

    Parameters
    ----------
    accuracy
        Accuracies of at least 2 configurations with at least 2 seeds.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    means = accuracy.mean(axis=1)
    # A seed that is easy for all configurations is no noise: only the rest is.
    residuals = accuracy - accuracy.mean(axis=0) - means[:, None] + accuracy.mean()
    configurations, seeds = accuracy.shape
    freedom = (configurations - 1) * (seeds - 1)
    error = float(np.sqrt((residuals**2).sum() / freedom / seeds))
    measured = float(means.std(ddof=1))
    return Separation(
        task=task,
        space=space,
        shots=shots,
        configurations=configurations,
        seeds=seeds,
        mean=float(means.mean()),
        worst=float(means.min()),
        best=float(means.max()),
        spread=float(np.sqrt(max(measured**2 - error**2, 0.0))),
        measured_spread=measured,
        error=error,
        # Without noise, all configurations that differ are told apart.
        ratio=measured / max(error, 1e-12),
    )
