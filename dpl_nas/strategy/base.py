"""The interface of all strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Unpack, overload

from dpl_nas.backbone import Backbone
from dpl_nas.config import SearchSettings
from dpl_nas.console import watched
from dpl_nas.engine import (
    Evaluation,
    StopReason,
    TrialEngine,
    TrialSettings,
    peak_bytes,
    whole_trials,
)
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.io.arguments import check_arguments
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import in_a_line, short_repr
from dpl_nas.io.run_files import FINALS
from dpl_nas.io.validation import validate
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.signals import sigterm_kept
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, Space
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.arguments import (
    ProblemAndSearchOptions,
    SearchOptions,
    Wanted,
    understand,
)
from dpl_nas.strategy.collapse import Collapse
from dpl_nas.strategy.compared import compare_with_manual
from dpl_nas.strategy.finals import Finals
from dpl_nas.strategy.near_ties import preferred, usual_design
from dpl_nas.strategy.result import EpochRecord, SearchResult
from dpl_nas.strategy.search import Search
from dpl_nas.tasks import Task
from dpl_nas.training.distributed import Ranks, on_devices
from dpl_nas.training.problem import Problem
from dpl_nas.training.searched import check_supernet

__all__ = ["Found", "Strategy"]


@dataclass(frozen=True)
class Found:
    """The choice of a strategy, if it is more than its best trial.

    Attributes
    ----------
    architecture
        Chosen architecture; ``None`` for that of the best trial.
    records
        Records of a supernet, one an epoch.
    stopped_by
        Rule that ended the search, if it was not the budget.
    collapse
        What the alphas depend on, if there are any.
    """

    architecture: Architecture | None = None
    records: tuple[EpochRecord, ...] = ()
    stopped_by: StopReason | None = None
    collapse: Collapse | None = None

    __repr__ = short_repr


class Strategy(ABC):
    """Searches the context lengths of a space.

    A subclass writes :meth:`explore`; this class handles budget, ledger, resume and failures.
    A strategy only holds settings: :meth:`search` may be called again and again.

    Attributes
    ----------
    name
        Name of the strategy in results.
    Settings
        Type of its settings.
    default_budget
        Budget if none is given; ``None`` for a strategy that ends by itself.
    plans
        Whether already the first steps depend on the whole budget, as with the epochs of a
        supernet. Then a search does not go on with another budget; other searches may.
    """

    name: str = "own"
    Settings: ClassVar[type[SearchSettings]] = SearchSettings
    default_budget: SearchBudget | None = SearchBudget(trials=20)
    plans: ClassVar[bool] = False
    #: Name of the stage of trials that observers are told.
    stage: str = Stage.SEARCH
    #: Whether several devices can share the batches of its supernet.
    shares_batches: ClassVar[bool] = False

    settings: SearchSettings

    def __init__(self, *unnamed: Any, **settings: Any) -> None:
        if unnamed:
            raise ConfigError(
                f"{type(self).__name__} takes settings by name, such as validation_shots=2, found "
                f"{abbreviate(unnamed[0])}"
            )
        self.settings = validate(self.Settings, settings, type(self).__name__, ConfigError)

    def __repr__(self) -> str:
        # Settings that have their default are left out.
        changed = self.settings.model_dump(mode="json", exclude_defaults=True)
        told = ", ".join(f"{key}={value!r}" for key, value in changed.items())
        return in_a_line(f"{type(self).__name__}({told})")

    @abstractmethod
    def explore(self, search: Search) -> Found | None:
        """Search.

        Returns
        -------
        Found or None
            The choice; ``None`` for the best architecture that ``search`` evaluated.
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
        space: Space | AnyPath,
        task: Task | AnyPath,
        budget: SearchBudget | str | None = None,
        **options: Unpack[ProblemAndSearchOptions],
    ) -> SearchResult: ...

    def search(self, *subject: Any, **options: Any) -> SearchResult:
        """Search a problem, or ``space`` on the few-shot images of ``task``.

        ``search(problem, budget, ...)`` or ``search(space, task, budget, shots=16, seed=1, ...)``.

        Parameters
        ----------
        problem
            Problem to search (:class:`~dpl_nas.training.Problem`).
        budget
            Budget, or its text such as ``20-trials``; by default that of the strategy.
        space, task
            Space and task, or their names or paths.
        shots, seed
            Number of images a class, and the seed of their draw. With ``validation: split`` the
            search sees no others.
        train
            Recipe that architectures are trained with.
        backbone, device
            Loaded backbone, or device to load the backbone of the space to.
        objective
            Goal of the search. ``pareto`` looks for the front of validation accuracy against
            context vectors, :attr:`SearchResult.front`; the found architecture is still its most
            accurate one.
        jobs
            Number of trials side by side, each in its own process.
        workers
            Workers that run the trials instead, such as the machines of a cluster.
        max_failed
            Share of trials that may fail.
        folder
            Folder of the ledger and of states; a search that was interrupted there goes on and
            ends as it would have.
        observer
            Observer that is told of the progress instead of the terminal or notebook.
        quiet
            Whether to draw no progress.
        devices
            Number of GPUs, or of processes on the CPU, that share every batch of a supernet.
        ranks
            Rank of this process among them; set by ``devices``.

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
        check_arguments(understand, subject, options, name="search")
        problem, budget, wanted = understand(*subject, **options)
        with watched(wanted.observer, quiet=wanted.quiet) as observer:
            wanted = replace(wanted, observer=observer)
            check_supernet(self.name, self.settings, problem.method)
            problem.check(self.settings, observer=observer)
            budget = budget or self.default_budget
            if wanted.devices > 1:
                return self._search_shared(problem, budget, wanted)
            return self._search_alone(problem, budget, wanted)

    def _search_shared(
        self, problem: Problem, budget: SearchBudget | None, wanted: Wanted
    ) -> SearchResult:
        """Search in several processes that share every batch."""
        if not self.shares_batches:
            raise ConfigError(
                f"devices={wanted.devices} needs a strategy with a differentiable supernet, such "
                f"as darts, found {self.name}: set jobs={wanted.devices} instead"
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
        self, problem: Problem, budget: SearchBudget | None, wanted: Wanted
    ) -> SearchResult:
        trials = TrialSettings(problem, SearchSettings(**self.settings.of_trials))
        split = trials.split
        # One process keeps the ledger for all of them.
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
            finals = Finals.of(engine, self.settings.finalists)
            engine.reserve(finals.steps)
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
            if architecture is not None and self.settings.portfolio and engine.evaluations:
                # What was chosen otherwise is compared with the manual designs, if that is paid.
                architecture = None if engine.evaluate([architecture]) else architecture
            played: tuple[Evaluation, ...] = ()
            if architecture is None and first and finals.finalists:
                usual = usual_design(problem.space)
                manual = portfolio(problem.space).values()
                kept: list[Collection[Architecture]] = [manual, [usual] if usual else []]
                place = wanted.folder and wanted.folder / FINALS
                played = finals.play(engine, kept, place, wanted.jobs, wanted.observer)
            if architecture is None:
                deciding = whole_trials(played or engine.evaluations)
                best = preferred(problem.space, deciding, self.settings.margin)
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
                finals=played,
                cost=engine.spent,
                trial_steps=engine.trial_cost.steps,
                collapse=found.collapse,
                compared=compare_with_manual(
                    problem.space, engine.evaluations, architecture, played
                ),
                peak_bytes=max([peak_bytes(), *(each.peak_bytes for each in engine.evaluations)]),
            )

    def _try_portfolio(self, search: Search) -> None:
        """Train and validate the first manual designs, for a third of the budget at most."""
        # Other processes only help to train a supernet.
        if not self.settings.portfolio or not search.ranks.first:
            return
        affordable = search.engine.steps_left / 3 // search.engine.trial_cost.steps
        designs = list(portfolio(search.space).values())
        search.evaluate(designs[: int(min(self.settings.portfolio, affordable, len(designs)))])

    def _explore(self, search: Search) -> Found:
        """The choice of :meth:`explore`, which a user may have written."""
        try:
            with sigterm_kept():
                self._try_portfolio(search)
                found = self.explore(search)
        except SystemExit as error:
            # Lightning raises exceptions of its own for Ctrl-C and for SIGTERM.
            if isinstance(error.__context__, KeyboardInterrupt) or type(error) is not SystemExit:
                raise
            raise StrategyError(
                f"strategy {self.name} tried to end the program (exit code {error.code}): let "
                "explore return, or raise an error"
            ) from error
        if found is not None and not isinstance(found, Found):
            raise StrategyError(
                f"explore of strategy {self.name} should return a Found or None, found "
                f"{type(found).__name__}"
            )
        return found or Found()

    def _nothing(self, engine: TrialEngine) -> str:
        """The error that says why there is no result."""
        if engine.evaluations:
            return f"all trials failed; error of the last one: {engine.evaluations[-1].error}"
        if engine.stopped_by is StopReason.SECONDS:
            return "the budget of seconds was spent before the first trial: allow more seconds"
        if engine.affords():
            return (
                f"strategy {self.name} evaluated no architecture and chose none: explore should "
                "evaluate some, or return a Found"
            )
        return (
            "the search evaluated no architecture: its budget must cover one whole trial of "
            f"{engine.trial_cost.steps} training steps"
        )


def _search_there(
    kind: type[Strategy],
    settings: dict[str, Any],
    problem: Problem,
    budget: SearchBudget | None,
    wanted: Wanted,
    *,
    backbone: Backbone,
    ranks: Ranks,
    observer: Observer | None = None,
) -> SearchResult:
    """Search in another process; NNI's strategies cannot be sent to it, so it makes its own."""
    strategy = kind(**settings)
    wanted = replace(wanted, observer=observer, ranks=ranks)
    return strategy._search_alone(problem.on(backbone), budget, wanted)  # noqa: SLF001
