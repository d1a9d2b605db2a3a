"""The arguments of :meth:`dpl_nas.strategy.Strategy.search`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from dpl_nas.backbone import Backbone
from dpl_nas.config import Objective, TrainSettings
from dpl_nas.engine.jobs import TrialWorkers
from dpl_nas.errors import ConfigError
from dpl_nas.io.arguments import check_arguments, check_whole, checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.observer import Observer
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space
from dpl_nas.tasks import Task
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.problem import Problem

__all__ = ["ProblemAndSearchOptions", "SearchOptions", "Wanted", "understand"]


class SearchOptions(TypedDict, total=False):
    """The options of a search: see :meth:`Strategy.search`."""

    objective: Objective
    jobs: int
    workers: TrialWorkers | None
    max_failed: float
    folder: AnyPath | None
    observer: Observer | None
    quiet: bool
    devices: int
    ranks: Ranks


class ProblemAndSearchOptions(SearchOptions, total=False):
    """The options of a search of a space and a task, which include those of the problem."""

    shots: int
    seed: int
    train: TrainSettings | None
    backbone: Backbone | None
    device: str


@dataclass(frozen=True)
class Wanted:
    """The options of :meth:`Strategy.search` for a problem."""

    objective: Objective = "accuracy"
    jobs: int = 1
    workers: TrialWorkers | None = None
    max_failed: float = 0.5
    folder: Path | None = None
    observer: Observer | None = None
    quiet: bool = False
    devices: int = 1
    ranks: Ranks = ALONE


@checked()
def understand(
    *subject: Any,
    shots: int = 16,
    seed: int = 1,
    train: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    space: Space | AnyPath | None = None,
    task: Task | AnyPath | None = None,
    budget: SearchBudget | str | None = None,
    folder: AnyPath | None = None,
    **options: Any,
) -> tuple[Problem, SearchBudget | None, Wanted]:
    """Sort the arguments of :meth:`Strategy.search` into problem, budget and options."""
    rest = list(subject)
    if rest and isinstance(rest[0], Problem):
        problem = rest.pop(0)
    else:
        space = rest.pop(0) if rest else space
        task = rest.pop(0) if rest else task
        if space is None or task is None:
            raise ConfigError(
                "expected search(problem, budget) or search(space, task, budget), found no "
                f"{'space' if space is None else 'task'}: give it, or its name"
            )
        problem = Problem.of(
            space, task, shots=shots, seed=seed, recipe=train, backbone=backbone, device=device
        )
    budget = rest.pop(0) if rest else budget
    if isinstance(budget, str):
        budget = SearchBudget.parse(budget)
    if budget is not None and not isinstance(budget, SearchBudget):
        raise ConfigError(
            "expected a budget such as '20-trials' or SearchBudget(trials=20), found "
            f"{abbreviate(budget)}"
        )
    for name in ("jobs", "devices"):
        check_whole(name, options.get(name, 1), 1)
    if rest:
        raise ConfigError(
            f"expected no argument after the budget, found {abbreviate(rest[0])}: give options "
            "by their names"
        )
    options["folder"] = None if folder is None else Path(folder)
    check_arguments(Wanted, (), options, name="search")
    return problem, budget, Wanted(**options)
