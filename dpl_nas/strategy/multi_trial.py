"""Strategies that train one architecture after another: NNI's classes do the work."""

from __future__ import annotations

from typing import Any

import nni
from nni.mutable import SampleValidationError
from nni.nas.space import ExecutableModelSpace, RawFormatModelSpace
from nni.nas.strategy import TPE as NniTPE  # noqa: N811
from nni.nas.strategy import GridSearch, RegularizedEvolution
from nni.nas.strategy import Random as NniRandom
from nni.nas.strategy.base import Strategy as NniStrategyBase

from dpl_nas import budget
from dpl_nas.config import (
    EvolutionSettings,
    GridSettings,
    RandomSettings,
    TpeSettings,
)
from dpl_nas.errors import StrategyError
from dpl_nas.nni.engine import TrialExecutionEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.nni.search_space import sample_of
from dpl_nas.nni.tpe import BudgetTpe
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.study import Study

__all__ = ["TPE", "Evolution", "Grid", "Random", "run_nni"]

#: numpy's generators take 32 bits.
_SEEDS = 2**32


def run_nni(strategy: NniStrategyBase, study: Study) -> None:
    """Let a strategy of NNI that trains architectures one by one search ``study``.

    Raises
    ------
    StrategyError
        If it asks for an architecture that does not fit, as NNI's tuners do.
    """
    engine = TrialExecutionEngine(study.engine, study.reward)
    with quiet():
        # Its vectors are never used: architectures are trained by the trials.
        space = _Architectures(PromptSpace(study.space, study.backbone), None)
        try:
            strategy(space, engine)
        except SampleValidationError as error:
            raise StrategyError(
                f"{type(strategy).__name__} asked for an architecture that space "
                f"{study.space.name} does not have ({' '.join(str(error).split()):.200}): use a "
                "strategy that heeds budgets, or a space without one"
            ) from error
        engine.wait_models()


class _Architectures(RawFormatModelSpace):  # type: ignore[misc]
    """NNI hands every model of a grid the same dict, and goes on changing it."""

    def freeze(self, sample: Any) -> RawFormatModelSpace:
        return super().freeze(dict(sample))


def _seed(study: Study, name: str) -> int:
    return derive_seed(study.seed, name) % _SEEDS


class Random(Strategy):
    """Architectures drawn uniformly from all that fit, each once: NNI's ``Random``."""

    name = "random"
    Settings = RandomSettings
    settings: RandomSettings

    def explore(self, study: Study) -> None:
        """Draw, train, compare."""
        run_nni(NniRandom(seed=_seed(study, "random")), study)


class Grid(Strategy):
    """Every architecture of a small space: NNI's ``GridSearch``."""

    name = "grid"
    Settings = GridSettings
    settings: GridSettings

    def explore(self, study: Study) -> None:
        """Try all.

        Raises
        ------
        StrategyError
            If the budget does not cover all of them.
        """
        count = budget.count(study.space)
        affordable = study.engine.steps_left / study.engine.trial_cost.steps
        if count > affordable:
            raise StrategyError(
                f"a grid search trains every architecture, and space {study.space.name} has "
                f"{count:,} that fit, where the budget covers {int(affordable):,}: search a "
                "smaller space, allow more, or use another strategy"
            )
        run_nni(GridSearch(shuffle=self.settings.shuffle, seed=_seed(study, "grid")), study)


class Evolution(Strategy):
    """Regularised evolution: NNI's ``RegularizedEvolution``, whose children fit the budget."""

    name = "evolution"
    Settings = EvolutionSettings
    settings: EvolutionSettings

    def explore(self, study: Study) -> None:
        """Evolve."""
        run_nni(_BudgetEvolution(study, self.settings), study)


class _BudgetEvolution(RegularizedEvolution):  # type: ignore[misc]
    """NNI draws each layer of a child for itself, and hardly any child of a full budget fits."""

    def __init__(self, study: Study, settings: EvolutionSettings) -> None:
        super().__init__(
            population_size=settings.population_size,
            sample_size=settings.sample_size,
            crossover=settings.crossover,
            seed=_seed(study, "evolution"),
        )
        self._space = study.space
        self._layers = settings.mutated_layers
        self._rng = study.rng("evolution/children")

    def new_individual(self) -> ExecutableModelSpace:
        parent = self._architecture(self.best_parent())
        if self.crossover:
            other = self._architecture(self.best_parent())
            parent = budget.crossover(self._space, parent, other, self._rng)
        child = sample_of(budget.mutate(self._space, parent, self._rng, self._layers))
        self._dedup_helper.dedup(child)
        return self.model_space.freeze(child)

    def _architecture(self, sample: Any) -> Architecture:
        return self._space.architecture({label: int(name) for label, name in sample.items()})


class TPE(Strategy):
    """The tree-structured Parzen estimator: NNI's ``TPE``, whose draws fit the budget."""

    name = "tpe"
    Settings = TpeSettings
    settings: TpeSettings

    def explore(self, study: Study) -> None:
        """Model what is good, and draw from it."""
        run_nni(_QuickTPE(BudgetTpe(study.space, self.settings, study.seed)), study)


class _QuickTPE(NniTPE):  # type: ignore[misc]
    """NNI's strategy without its sleep of a second after each trial."""

    def __init__(self, tuner: BudgetTpe) -> None:
        super().__init__()
        self.tuner = tuner

    def _run(self) -> None:
        while self.wait_for_resource():
            try:
                sample = self.tuner.generate_parameters(self._model_count)
            except nni.NoMoreTrialError:
                return
            model = self.model_space.freeze(sample)
            self._model_to_id[model] = self._model_count
            self._model_count += 1
            self.engine.submit_models(model)
        self.engine.wait_models()
