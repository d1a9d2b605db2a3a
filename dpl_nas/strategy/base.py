"""The interface of all strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import Objective, SearchSettings, TrainSettings
from dpl_nas.engine import TrialEngine, TrialSettings, best_of
from dpl_nas.engine.trials import peak_bytes
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.io.validation import validated
from dpl_nas.observer import Observer
from dpl_nas.process.signals import sigterm_kept
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, Space, load_space
from dpl_nas.strategy.result import EpochRecord, SearchResult
from dpl_nas.strategy.search import Search
from dpl_nas.tasks import Task, load_task
from dpl_nas.training.distributed import ALONE, Ranks, on_devices

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
    stopped_by: str = ""


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
    stage: str = "search"
    #: Whether several devices can share its batches.
    shares_batches: ClassVar[bool] = False

    settings: SearchSettings

    def __init__(self, **settings: Any) -> None:
        self.settings = validated(self.Settings, settings, type(self).__name__, ConfigError)

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

    def search(
        self,
        space: Space | str | Path,
        task: Task | str | Path,
        budget: SearchBudget | str | None = None,
        *,
        shots: int = 16,
        seed: int = 1,
        train: TrainSettings | None = None,
        objective: Objective = "accuracy",
        jobs: int = 1,
        max_failed: float = 0.5,
        backbone: Backbone | None = None,
        device: str = "cpu",
        folder: str | Path | None = None,
        observer: Observer | None = None,
        devices: int = 1,
        ranks: Ranks = ALONE,
    ) -> SearchResult:
        """Search ``space`` on the few-shot images of ``task``.

        Parameters
        ----------
        space, task
            Themselves, or names or paths.
        budget
            What may be spent, also as ``20-trials``; the strategy's own default if not given.
        shots, seed
            Images a class, and which. With ``validation: split`` they are all that is seen.
        train
            The recipe that architectures are trained with.
        objective
            ``pareto`` looks for the front of validation accuracy against context vectors,
            :attr:`SearchResult.front`; the architecture is its most accurate one all the same.
        jobs
            Trials side by side, each in a process of its own.
        max_failed
            The share of trials that may fail.
        backbone
            Loaded from ``space.backbone`` if not given.
        folder
            Where the ledger and states go; a search that was interrupted there goes on and
            ends as it would have.
        devices
            GPUs, or processes on the CPU, that share every batch of a supernet.
        ranks
            Which of them this is; ``devices`` sees to it.

        Raises
        ------
        TaskError
            If there are too few training images, or too few shots to split.
        SpaceError
            If the space does not fit the backbone.
        StrategyError
            If the strategy cannot search this space, or too many trials fail.
        ConfigError
            If there are fewer GPUs than ``devices``, or the strategy has no supernet for them.
        OutputError, CheckpointError
            If ``folder`` holds another search, or its state is damaged.
        """
        space, task = load_space(space), load_task(task)
        folder = None if folder is None else Path(folder)
        budget = SearchBudget.parse(budget) if isinstance(budget, str) else budget
        backbone = backbone or load_backbone(space.backbone, device)
        if devices > 1:
            if not self.shares_batches:
                raise ConfigError(
                    f"devices={devices} is for strategies that train a supernet with "
                    f"differentiable weights, found {self.name}: set jobs={devices} instead"
                )
            work = partial(
                _search,
                type(self),
                self.settings.model_dump(mode="json"),
                space,
                task,
                budget,
                shots=shots,
                seed=seed,
                train=train,
                objective=objective,
                jobs=jobs,
                max_failed=max_failed,
                folder=folder,
            )
            return on_devices(devices, work, backbone, observer=observer)
        trials = TrialSettings(
            space=space,
            task=task,
            shots=shots,
            seed=seed,
            train=train or TrainSettings(),
            validation=self.settings.validation,
            validation_shots=self.settings.validation_shots,
            device=str(backbone.device),
            fingerprint=backbone.fingerprint,
        )
        split = trials.split
        budget = budget or self.default_budget
        with TrialEngine(
            trials,
            budget,
            backbone=backbone,
            # One process keeps the ledger for all.
            folder=folder if ranks.first else None,
            jobs=jobs if ranks.first else 1,
            max_failed=max_failed,
            stage=self.stage,
            observer=observer,
            identity={
                "strategy": self.name,
                "search": self.settings.model_dump(mode="json"),
                "objective": objective,
                "jobs": jobs,
                **({"search budget": budget and str(budget)} if self.plans else {}),
            },
        ) as engine:
            search = Search(
                space=space,
                task=task,
                shots=shots,
                seed=seed,
                objective=objective,
                engine=engine,
                backbone=backbone,
                folder=folder,
                observer=observer or Observer(),
                ranks=ranks,
            )
            found = self._explored(search)
            while engine.waiting:
                engine.collect()
            architecture = found.architecture
            if architecture is None:
                best = best_of(engine.evaluations)
                if best is None:
                    raise StrategyError(self._nothing(engine))
                architecture = best.architecture
            space.check(architecture)
            return SearchResult(
                architecture=architecture,
                strategy=self.name,
                shots=shots,
                seed=seed,
                records=found.records,
                stopped_by=found.stopped_by or engine.stopped_by or "strategy",
                seconds=engine.elapsed,
                labels_seen=len(split.train) + len(split.validation),
                evaluations=engine.evaluations,
                cost=engine.spent,
                trial_steps=engine.trial_cost.steps,
                peak_bytes=max([peak_bytes(), *(each.peak_bytes for each in engine.evaluations)]),
            )

    def _explored(self, search: Search) -> Found:
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
        if engine.stopped_by == "seconds":
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


def _search(
    kind: type[Strategy], settings: dict[str, Any], *arguments: Any, **keywords: Any
) -> SearchResult:
    """:meth:`Strategy.search`, for other processes, into which NNI's strategies do not go."""
    return kind(**settings).search(*arguments, **keywords)
