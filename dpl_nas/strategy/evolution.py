"""Regularised evolution (Real et al. 2019, arXiv 1802.01548)."""

from __future__ import annotations

from typing import Any

from nni.nas.space import ExecutableModelSpace
from nni.nas.strategy import RegularizedEvolution

from dpl_nas.config import EvolutionSettings
from dpl_nas.nni.search_space import sample_of
from dpl_nas.space import Architecture, fitting
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.trials_by_nni import nni_seed, run_nni

__all__ = ["Evolution"]


class Evolution(Strategy):
    """Regularised evolution: NNI's ``RegularizedEvolution``, whose children fit the limits."""

    name = "evolution"
    Settings = EvolutionSettings
    settings: EvolutionSettings

    def explore(self, search: Search) -> None:
        """Search by NNI's evolution."""
        run_nni(_FittingEvolution(search, self.settings), search)


class _FittingEvolution(RegularizedEvolution):  # type: ignore[misc]
    """NNI's evolution with children that fit: if each layer is drawn alone, hardly any does."""

    def __init__(self, search: Search, settings: EvolutionSettings) -> None:
        super().__init__(
            population_size=settings.population_size,
            sample_size=settings.sample_size,
            crossover=settings.crossover,
            seed=nni_seed(search, "evolution"),
        )
        self._space = search.space
        self._layers = settings.mutated_layers
        self._rng = search.rng("evolution/children")

    def new_individual(self) -> ExecutableModelSpace:
        made = fitting.offspring(
            self._space,
            lambda: self._architecture(self.best_parent()),
            self._rng,
            crosses=self.crossover,
            mutated_layers=self._layers,
        )
        child = sample_of(made)
        self._dedup_helper.dedup(child)
        return self.model_space.freeze(child)

    def _architecture(self, sample: Any) -> Architecture:
        return self._space.architecture({label: int(name) for label, name in sample.items()})
