"""Strategies that train one architecture after another: NNI's classes do the work."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import nni
import numpy as np
from nni.algorithms.hpo.tpe_tuner import (
    TpeTuner,
    linear_forgetting_weights,
    split_history,
)
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
from dpl_nas.nni.model_space import PromptSpace, sample_of
from dpl_nas.nni.quiet import quiet
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space
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
        run_nni(_QuickTPE(_BudgetTuner(study, self.settings)), study)


class _BudgetTuner(TpeTuner):  # type: ignore[misc]
    """NNI's tuner, but for the draw, which is conditional on the budget.

    NNI draws for each layer ``candidates`` lengths by their frequency among the good trials and
    takes that with the best ratio to the bad ones. Layers that share a budget cannot be drawn
    one by one, so whole architectures are, and compared by the sum of the same log ratios.
    """

    def __init__(self, study: Study, settings: TpeSettings) -> None:
        super().__init__(
            optimize_mode="maximize",
            seed=_seed(study, "tpe"),
            tpe_args={
                "n_startup_jobs": settings.startup_trials,
                "n_ei_candidates": settings.candidates,
                "gamma": settings.gamma,
                "prior_weight": settings.prior_weight,
            },
        )
        self._study = study
        self._seen: set[tuple[Any, ...]] = set()

    def generate_parameters(self, parameter_id: int, **_: Any) -> dict[str, str]:
        rng = random.Random(derive_seed(self._study.seed, "tpe", parameter_id))
        chosen = self._proposed(rng)
        sample = sample_of(chosen)
        values = {
            label: self._space_of(label).index(int(length)) for label, length in sample.items()
        }
        self._params[parameter_id] = self._running_params[parameter_id] = {
            (label,): index for label, index in values.items()
        }
        self._seen.add(tuple(sample.items()))
        return sample

    def _space_of(self, label: str) -> tuple[int, ...]:
        space: Space = self._study.space
        return space.towers["image" if label.startswith("image/") else "text"].lengths

    def _proposed(self, rng: random.Random) -> Architecture:
        space = self._study.space
        good, ratio = self._densities()
        draw = budget.weighted_draws(space, good) if good else partial(budget.sample, space)
        best: tuple[float, Architecture] | None = None
        for _ in range(self.args.n_ei_candidates if good else 1):
            drawn = self._fresh(rng, draw)
            score = (
                sum(
                    ratio[label][self._space_of(label).index(int(length))]
                    for label, length in sample_of(drawn).items()
                )
                if good
                else 0.0
            )
            if best is None or score > best[0]:
                best = (score, drawn)
        return best[1] if best else budget.sample(space, rng)

    def _fresh(
        self, rng: random.Random, draw: Callable[[random.Random], Architecture]
    ) -> Architecture:
        """A draw that was not proposed before, where one is found."""
        for _ in range(200):
            drawn = draw(rng)
            if tuple(sample_of(drawn).items()) not in self._seen:
                return drawn
        return budget.sample(self._study.space, rng)

    def _densities(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Each length's frequency among good trials, and its log ratio to that among bad ones.

        Nothing while there are too few trials.
        """
        good: dict[str, list[float]] = {}
        ratio: dict[str, list[float]] = {}
        for label, _, _ in self._study.space.labels():
            history = self._history[(label,)]
            if len(history) < self.args.n_startup_jobs:
                return {}, {}
            size = len(self._space_of(label))
            shares = []
            for part in split_history(self.args, history):
                weights = linear_forgetting_weights(self.args, len(part))
                counts = np.bincount(part, weights, size) + self.args.prior_weight
                shares.append(counts / counts.sum())
            good[label] = shares[0].tolist()
            ratio[label] = (np.log(shares[0]) - np.log(shares[1])).tolist()
        return good, ratio


class _QuickTPE(NniTPE):  # type: ignore[misc]
    """NNI's strategy without its sleep of a second after each trial."""

    def __init__(self, tuner: TpeTuner) -> None:
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
