"""NNI's tree-structured Parzen estimator, for lengths that share limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import numpy as np
from nni.algorithms.hpo.tpe_tuner import (
    Record,
    TpeTuner,
    linear_forgetting_weights,
    split_history,
)

from dpl_nas.config import TpeSettings
from dpl_nas.nni.search_space import sample_of
from dpl_nas.seeds import derive_seed, derive_short_seed
from dpl_nas.space import Architecture, Space, fitting, label_of

__all__ = ["FittingTpe"]

#: The number of tries for a new architecture before a known one is given out again.
_TRIES = 200


class FittingTpe(TpeTuner):  # type: ignore[misc]
    """NNI's tuner with a draw that is conditional on the limits.

    For each layer, NNI draws ``candidates`` lengths by their frequency among the good trials, and
    takes the one with the best ratio to the bad ones. Layers that share a limit cannot be drawn
    one by one. So whole architectures are drawn, and compared by the sum of the same log ratios.
    """

    def __init__(self, space: Space, settings: TpeSettings, seed: int) -> None:
        super().__init__(
            optimize_mode="maximize",
            seed=derive_short_seed(seed, "tpe"),
            tpe_args={
                "n_startup_jobs": settings.startup_trials,
                "n_ei_candidates": settings.candidates,
                "gamma": settings.gamma,
                "prior_weight": settings.prior_weight,
            },
        )
        self._architectures = space
        self._seed = seed
        self._known: set[Architecture] = set()

    def generate_parameters(self, parameter_id: int, **_: Any) -> dict[str, str]:
        """The next architecture, as a sample of NNI: the names of the lengths, by label."""
        chosen = self.propose(Random(derive_seed(self._seed, "tpe", parameter_id)))
        self._known.add(chosen)
        self._params[parameter_id] = self._running_params[parameter_id] = {
            (label,): index for label, index in self._indices(chosen).items()
        }
        return sample_of(chosen)

    def learn(self, architecture: Architecture, score: float) -> None:
        """Take in a trial that somebody else proposed."""
        self._known.add(architecture)
        for label, index in self._indices(architecture).items():
            self._history[(label,)].append(Record(index, -score))

    def propose(self, rng: Random) -> Architecture:
        """The most promising of some draws; a random one while there are too few trials."""
        space = self._architectures
        good, ratio = self._densities()
        if not good:
            return self._fresh(rng, partial(fitting.sample, space))
        draw = fitting.weighted_draws(space, good)
        return max(
            (self._fresh(rng, draw) for _ in range(self.args.n_ei_candidates)),
            key=lambda drawn: sum(
                ratio[label][index] for label, index in self._indices(drawn).items()
            ),
        )

    def _fresh(self, rng: Random, draw: Callable[[Random], Architecture]) -> Architecture:
        """A draw that was not proposed before, if one is found."""
        found = fitting.distinct(lambda: draw(rng), 1, tries=_TRIES, known=self._known)
        return found[0] if found else fitting.sample(self._architectures, rng)

    def _indices(self, architecture: Architecture) -> dict[str, int]:
        towers = self._architectures.towers
        return {
            label_of(tower, layer): towers[tower].lengths.index(length)
            for tower, layer, length in architecture.items()
        }

    def _densities(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Each length's frequency among good trials, and its log ratio to that among bad ones.

        Empty while there are too few trials.
        """
        good: dict[str, list[float]] = {}
        ratio: dict[str, list[float]] = {}
        for label, tower, _ in self._architectures.labels():
            history = self._history[(label,)]
            if len(history) < self.args.n_startup_jobs:
                return {}, {}
            size = len(self._architectures.towers[tower].lengths)
            shares = []
            for part in split_history(self.args, history):
                weights = linear_forgetting_weights(self.args, len(part))
                # If all trials count as good, the array of the bad ones has no type.
                counts = np.bincount(part.astype(int), weights, size) + self.args.prior_weight
                shares.append(counts / counts.sum())
            good[label] = shares[0].tolist()
            ratio[label] = (np.log(shares[0]) - np.log(shares[1])).tolist()
        return good, ratio
