"""The interface of all strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypedDict, Unpack, overload

from dpl_nas.backbone import Backbone
from dpl_nas.config import Objective, SearchSettings, TrainSettings
from dpl_nas.engine import StopReason, TrialEngine, TrialSettings, best_of, peak_bytes
from dpl_nas.engine.jobs import TrialWorkers
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.io.validation import validate
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.signals import sigterm_kept
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, Space
from dpl_nas.strategy.result import EpochRecord, SearchResult
from dpl_nas.strategy.search import Search
from dpl_nas.tasks import Task
from dpl_nas.training.captions import check_task
from dpl_nas.training.distributed import ALONE, Ranks, on_devices
from dpl_nas.training.problem import Problem

__all__ = ["Found", "Strategy"]


@dataclass(frozen=True)
class Found:
    """What a strategy found, where that is more than its best trial.

    Attributes
    ----------
    architecture
        ``None`` for the best trial's.
    records
        Of the epochs of a supernet.
    stopped_by
        By what rule the search ended, if not by the budget.
    """

    architecture: Architecture | None = None
    records: tuple[EpochRecord, ...] = ()
    stopped_by: StopReason | None = None


class SearchOptions(TypedDict, total=False):
    """How a problem is searched: see :meth:`Strategy.search`."""

    objective: Objective
    jobs: int
    workers: TrialWorkers | None
    max_failed: float
    folder: str | Path | None
    observer: Observer | None
    devices: int
    ranks: Ranks


class ProblemAndSearchOptions(SearchOptions, total=False):
    """What the problem is besides, where it is not given as one."""

    shots: int
    seed: int
    train: TrainSettings | None
    backbone: Backbone | None
    device: str


class Strategy(ABC):
    """Searches the context lengths of a space.

    A subclass writes :meth:`explore`; budget, ledger, resume and failures are seen to here. A
    configured value: :meth:`search` may be called again and again.

    Attributes
    ----------
    name
        What results call it.
    Settings
        The type of its settings.
    default_budget
        Where none is given; ``None`` for a strategy that ends by itself.
    plans
        Whether the whole budget decides what comes first, as it does for the epochs of a
        supernet. Then a search does not go on with another budget; others may be given more.
    """

    name: str = "own"
    Settings: ClassVar[type[SearchSettings]] = SearchSettings
    default_budget: ClassVar[SearchBudget | None] = SearchBudget(trials=20)
    plans: ClassVar[bool] = False
    #: What observers are told that trials are.
    stage: str = Stage.SEARCH
    #: Whether several devices can share its batches.
    shares_batches: ClassVar[bool] = False

    settings: SearchSettings

    def __init__(self, **settings: Any) -> None:
        self.settings = validate(self.Settings, settings, type(self).__name__, ConfigError)

    def __repr__(self) -> str:
        # What was left at its default says nothing.
        changed = self.settings.model_dump(mode="json", exclude_defaults=True)
        told = ", ".join(f"{key}={value!r}" for key, value in changed.items())
        return f"{type(self).__name__}({told})"

    @abstractmethod
    def explore(self, search: Search) -> Found | None:
        """Search.

        Returns
        -------
        Found or None
            The choice; ``None`` for the best of all that ``search`` evaluated.
        """

    @overload
    def search(
        self,
        problem: Problem,
        budget: SearchBudget | str | None = None,
        /,
        **options: Unpack[SearchOptions],
    ) -> SearchResult: ...

    @overload
    def search(
        self,
        space: Space | str | Path,
        task: Task | str | Path,
        budget: SearchBudget | str | None = None,
        **options: Unpack[ProblemAndSearchOptions],
    ) -> SearchResult: ...

    def search(self, *subject: Any, **options: Any) -> SearchResult:
        """Search a problem, or ``space`` on the few-shot images of ``task``.

        ``search(problem, budget, ...)`` or ``search(space, task, budget, shots=16, seed=1, ...)``.

        Parameters
        ----------
        problem
            What is searched (:class:`~dpl_nas.training.Problem`).
        budget
            What may be spent, also as ``20-trials``; the strategy's own default if not given.
        space, task
            Themselves, or names or paths.
        shots, seed
            Images a class, and which. With ``validation: split`` they are all that is seen.
        train
            The recipe that architectures are trained with.
        backbone, device
            A loaded backbone, or where to load that of the space.
        objective
            ``pareto`` looks for the front of validation accuracy against context vectors,
            :attr:`SearchResult.front`; the architecture is its most accurate one all the same.
        jobs
            Trials side by side, each in a process of its own.
        workers
            Where trials run instead, such as on the machines of a cluster.
        max_failed
            The share of trials that may fail.
        folder
            Where the ledger and states go; a search that was interrupted there goes on and
            ends as it would have.
        observer
            Who is told of the progress.
        devices
            GPUs, or processes on the CPU, that share every batch of a supernet.
        ranks
            Which of them this is; ``devices`` sees to it.

        Raises
        ------
        TaskError
            If there are too few training images, or too few shots to split, or two classes have
            the same caption.
        SpaceError
            If the space does not fit the backbone.
        StrategyError
            If the strategy cannot search this space, or too many trials fail.
        ConfigError
            If there are fewer GPUs than ``devices``, or the strategy has no supernet for them.
        OutputError, CheckpointError
            If ``folder`` holds another search, or its state is damaged.
        """
        problem, budget, wanted = _understood(*subject, **options)
        check_task(problem.backbone, problem.task, problem.shots, problem.recipe, self.settings)
        if wanted.devices > 1:
            return self._search_shared(problem, budget, wanted)
        return self._search_alone(problem, budget or self.default_budget, wanted)

    def _search_shared(
        self, problem: Problem, budget: SearchBudget | None, wanted: _Wanted
    ) -> SearchResult:
        """The search of several processes that share every batch."""
        if not self.shares_batches:
            raise ConfigError(
                f"devices={wanted.devices} is for strategies that train a supernet with "
                f"differentiable weights, found {self.name}: set jobs={wanted.devices} instead"
            )
        work = partial(
            _search_there,
            type(self),
            self.settings.model_dump(mode="json"),
            problem,
            budget,
            replace(wanted, devices=1, observer=None),
        )
        return on_devices(wanted.devices, work, problem.backbone, observer=wanted.observer)

    def _search_alone(
        self, problem: Problem, budget: SearchBudget | None, wanted: _Wanted
    ) -> SearchResult:
        trials = TrialSettings(
            problem,
            SearchSettings(
                validation=self.settings.validation,
                validation_shots=self.settings.validation_shots,
            ),
        )
        split = trials.split
        # One process keeps the ledger for all.
        first = wanted.ranks.first
        with TrialEngine(
            trials,
            budget,
            folder=wanted.folder if first else None,
            jobs=wanted.jobs if first else 1,
            workers=wanted.workers if first else None,
            max_failed=wanted.max_failed,
            stage=self.stage,
            observer=wanted.observer,
            identity={
                "strategy": self.name,
                "search": self.settings.model_dump(mode="json"),
                "objective": wanted.objective,
                "jobs": wanted.jobs,
                **({"search budget": budget and str(budget)} if self.plans else {}),
            },
        ) as engine:
            search = Search(
                problem=problem,
                objective=wanted.objective,
                engine=engine,
                folder=wanted.folder,
                observer=wanted.observer or Observer(),
                ranks=wanted.ranks,
            )
            found = self._explore(search)
            while engine.waiting:
                engine.collect()
            architecture = found.architecture
            if architecture is None:
                best = best_of(engine.evaluations)
                if best is None:
                    raise StrategyError(self._nothing(engine))
                architecture = best.architecture
            problem.space.check(architecture)
            return SearchResult(
                architecture=architecture,
                strategy=self.name,
                shots=problem.shots,
                seed=problem.seed,
                records=found.records,
                stopped_by=found.stopped_by or engine.stopped_by or StopReason.STRATEGY,
                seconds=engine.elapsed,
                labels_seen=len(split.train) + len(split.validation),
                evaluations=engine.evaluations,
                cost=engine.spent,
                trial_steps=engine.trial_cost.steps,
                peak_bytes=max([peak_bytes(), *(each.peak_bytes for each in engine.evaluations)]),
            )

    def _explore(self, search: Search) -> Found:
        """What :meth:`explore` found, which may be a user's."""
        try:
            with sigterm_kept():
                found = self.explore(search)
        except SystemExit as error:
            # Lightning makes one of Ctrl-C, and another kind of SIGTERM.
            if isinstance(error.__context__, KeyboardInterrupt) or type(error) is not SystemExit:
                raise
            raise StrategyError(
                f"strategy {self.name} asked to end the program (exit code {error.code}): let "
                "explore return, or raise an error"
            ) from error
        if found is not None and not isinstance(found, Found):
            raise StrategyError(
                f"explore of strategy {self.name} should return a Found or None, found "
                f"{type(found).__name__}"
            )
        return found or Found()

    def _nothing(self, engine: TrialEngine) -> str:
        """Why there is no result."""
        if engine.evaluations:
            return f"every trial failed; the last one: {engine.evaluations[-1].error}"
        if engine.stopped_by is StopReason.SECONDS:
            return "the time of the budget was over before the first trial: allow more seconds"
        if engine.affords():
            return (
                f"strategy {self.name} evaluated no architecture and chose none: explore should "
                "evaluate some, or return a Found"
            )
        return (
            "the search evaluated no architecture: its budget must cover one whole trial of "
            f"{engine.trial_cost.steps} training steps"
        )


@dataclass(frozen=True)
class _Wanted:
    """How a problem is searched: the options of :meth:`Strategy.search`."""

    objective: Objective = "accuracy"
    jobs: int = 1
    workers: TrialWorkers | None = None
    max_failed: float = 0.5
    folder: Path | None = None
    observer: Observer | None = None
    devices: int = 1
    ranks: Ranks = ALONE


def _understood(
    *subject: Any,
    shots: int = 16,
    seed: int = 1,
    train: TrainSettings | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    space: Space | str | Path | None = None,
    task: Task | str | Path | None = None,
    budget: SearchBudget | str | None = None,
    folder: str | Path | None = None,
    **options: Any,
) -> tuple[Problem, SearchBudget | None, _Wanted]:
    """The problem, the budget and the options of a call of :meth:`Strategy.search`."""
    rest = list(subject)
    if rest and isinstance(rest[0], Problem):
        problem = rest.pop(0)
    else:
        space = rest.pop(0) if rest else space
        task = rest.pop(0) if rest else task
        if space is None or task is None:
            raise ConfigError(
                "expected search(problem, budget) or search(space, task, budget), found no "
                f"{'space' if space is None else 'task'}: give one, or its name"
            )
        problem = Problem.of(
            space, task, shots=shots, seed=seed, recipe=train, backbone=backbone, device=device
        )
    budget = rest.pop(0) if rest else budget
    if isinstance(budget, str):
        budget = SearchBudget.parse(budget)
    if rest:
        raise ConfigError(
            f"search takes a budget after what is searched, found {abbreviate(rest[0])}"
        )
    where = None if folder is None else Path(folder)
    try:
        return problem, budget, _Wanted(folder=where, **options)
    except TypeError as error:
        # Python says which option it does not know.
        raise ConfigError(f"search: {str(error).partition('() ')[2]}") from None


def _search_there(
    kind: type[Strategy],
    settings: dict[str, Any],
    problem: Problem,
    budget: SearchBudget | None,
    wanted: _Wanted,
    *,
    backbone: Backbone,
    ranks: Ranks,
    observer: Observer | None = None,
) -> SearchResult:
    """A search in another process, into which NNI's strategies do not go."""
    strategy = kind(**settings)
    wanted = replace(wanted, observer=observer, ranks=ranks)
    return strategy._search_alone(problem.on(backbone), budget or kind.default_budget, wanted)  # noqa: SLF001
