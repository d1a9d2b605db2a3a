"""A search as its strategy sees it: the space, the budget, and trials."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dpl_nas.backbone import Backbone
from dpl_nas.config import Objective
from dpl_nas.engine import Cost, Evaluation, TrialEngine
from dpl_nas.errors import ArchitectureError
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, fitting
from dpl_nas.tasks import Task
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.problem import Problem

__all__ = ["Search"]


@dataclass(frozen=True)
class Search:
    """One search, as its strategy sees it.

    Attributes
    ----------
    problem
        Problem that is searched, with its images.
    objective
        Goal: ``accuracy``, or ``pareto`` for accuracy against context vectors.
    engine
        Engine that runs trials within the budget of the search.
    folder
        Folder in which a strategy may keep its own state; ``None`` if nothing is kept.
    ranks
        Rank of this process among those that share every batch; only one of them runs trials.
    """

    problem: Problem
    objective: Objective
    engine: TrialEngine
    folder: Path | None
    observer: Observer
    ranks: Ranks = ALONE

    __repr__ = short_repr

    @property
    def space(self) -> Space:
        """The search space and its limits."""
        return self.problem.space

    @property
    def task(self) -> Task:
        """The task that is searched on."""
        return self.problem.task

    @property
    def backbone(self) -> Backbone:
        """The frozen CLIP."""
        return self.problem.backbone

    @property
    def seed(self) -> int:
        """Seed of all that is drawn."""
        return self.problem.seed

    def rng(self, purpose: str) -> Random:
        """A stream of random numbers for one purpose; each purpose has its own."""
        return Random(derive_seed(self.seed, purpose))

    def affords(self) -> bool:
        """Whether the budget has a whole trial left, and an architecture is left to try."""
        return self.engine.affords()

    def evaluate(self, architectures: Iterable[Architecture]) -> list[Evaluation]:
        """Train and validate architectures as far as the budget goes; results in their order.

        With ``jobs`` several run at once. An architecture that was evaluated before costs nothing.

        Raises
        ------
        ArchitectureError
            If one is no architecture of the space, or exceeds its limits.
        """
        return self.engine.evaluate(map(_check_each, architectures))

    def charge(self, what: str, cost: Cost) -> None:
        """Pay for work that is no trial, once a name."""
        self.engine.charge(what, cost)

    def reward(self, evaluation: Evaluation) -> float:
        """The number that a strategy maximises.

        For the front, each trial has its own random weights of the two goals, so that the search
        covers all of it (the Tchebycheff scalarisation of ParEGO, Knowles 2006).
        """
        if self.objective == "accuracy" or evaluation.outcome is None:
            return evaluation.score
        most = max(1, _most_vectors(self.space))
        weight = self.rng(f"goals/{evaluation.number}").random()
        # The score is at most 1; this is a share in 0..1, as are the vectors.
        missed = 1.0 - math.exp(evaluation.score - 1.0)
        vectors = evaluation.architecture.vectors / most
        return -max((1 - weight) * missed, weight * vectors) - 0.05 * (missed + vectors)


def _check_each(architecture: Architecture) -> Architecture:
    if not isinstance(architecture, Architecture):
        raise ArchitectureError(
            "expected an Architecture, such as one from dpl_nas.space.fitting.sample, found "
            f"{type(architecture).__name__}"
        )
    return architecture


def _most_vectors(space: Space) -> int:
    scores = {label: list(space.towers[tower].lengths) for label, tower, _ in space.labels()}
    return fitting.project(space, scores).vectors
