"""A tuner for ``nnictl`` whose architectures fit the budget of a space."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Literal

import nni
from nni.tuner import Tuner

from dpl_nas import budget
from dpl_nas.config import EvolutionSettings
from dpl_nas.errors import ArchitectureError, ConfigError, SpaceError
from dpl_nas.nni.search_space import (
    architecture_of_parameters,
    described_architecture,
    nni_search_space,
)
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, load_space
from dpl_nas.validation import validated

__all__ = ["BudgetTuner"]

#: So often a new architecture is looked for before a known one is given out again.
_TRIES = 200

Algorithm = Literal["random", "evolution"]


class BudgetTuner(Tuner):  # type: ignore[misc]
    """Draws or evolves architectures that fit a budget, of which NNI's own tuners know nothing.

    In an experiment, ``tuner: {className: dpl_nas.nni.tuner.BudgetTuner, codeDirectory: .,
    classArgs: {space: mini_clip_budget12}}``. Unlike NNI's evolution it is seeded, and it
    remembers the finished trials of an experiment that is resumed.

    Parameters
    ----------
    space
        A packaged space, or the absolute path of a YAML file: NNI starts tuners elsewhere.
    algorithm
        ``evolution`` (regularised: Real et al. 2019, arXiv 1802.01548) or ``random``.
    seed
        With the same seed and concurrency 1, the same architectures are tried.
    settings
        Of the evolution: see :class:`~dpl_nas.config.EvolutionSettings`.

    Raises
    ------
    SpaceError
        If there is no such space.
    ConfigError
        If a setting is unknown or its value is not valid.
    """

    def __init__(
        self,
        space: str,
        algorithm: Algorithm = "evolution",
        seed: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__()
        if algorithm not in ("random", "evolution"):
            raise ConfigError(f"expected the algorithm random or evolution, found {algorithm!r}")
        self._space = load_space(Path(space) if space.endswith((".yml", ".yaml")) else space)
        self._settings = validated(EvolutionSettings, settings, "BudgetTuner", ConfigError)
        self._evolves = algorithm == "evolution"
        self._seed = seed
        self._count = budget.count(self._space)
        self._known: set[str] = set()
        #: The latest trials that ended well, with what they reached: accuracy, then -loss.
        self._population: deque[tuple[tuple[float, float], Architecture]] = deque(
            maxlen=self._settings.population_size
        )

    def update_search_space(self, search_space: Mapping[str, Any]) -> None:
        """Check what the experiment searches.

        Raises
        ------
        SpaceError
            If it is not the space that the tuner was given.
        """
        if dict(search_space) != nni_search_space(self._space):
            raise SpaceError(
                f"searchSpace of the experiment is not that of space {self._space.name}: take "
                "what dpl-nas space nni prints"
            )

    def generate_parameters(
        self,
        parameter_id: int,
        **_: Any,
    ) -> dict[str, int]:
        """Lengths by label.

        Raises
        ------
        nni.NoMoreTrialError
            When every architecture that fits was given out.
        """
        if len(self._known) >= self._count:
            raise nni.NoMoreTrialError(f"all {self._count} architectures were tried")
        rng = Random(derive_seed(self._seed, "nni", parameter_id, len(self._known)))
        young = len(self._known) < self._settings.population_size or not self._population
        for attempt in range(2 * _TRIES):
            # Where hardly a child is new, a draw is.
            draws = young or not self._evolves or attempt >= _TRIES
            chosen = budget.sample(self._space, rng) if draws else self._child(rng)
            if chosen.describe() not in self._known:
                break
        else:
            chosen = next(
                each
                for each in budget.enumerate_all(self._space)
                if each.describe() not in self._known
            )
        self._known.add(chosen.describe())
        return {f"{tower}/{layer}": length for tower, layer, length in chosen.items()}

    def receive_trial_result(
        self,
        parameter_id: int,  # noqa: ARG002 - NNI's signature
        parameters: Mapping[str, Any],
        value: Any,
        **_: Any,
    ) -> None:
        """Take a trial into the population; the oldest one leaves it."""
        self._learn(parameters, value)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn of the trials that ended before the experiment was resumed."""
        for trial in data:
            self._learn(trial["parameter"], trial["value"])

    def _learn(self, parameters: Mapping[str, Any], value: Any) -> None:
        result = value if isinstance(value, dict) else {"default": value}
        try:
            # Of trials that began at the same time NNI may mix the parameters up.
            architecture = (
                described_architecture(self._space, result["lengths"])
                if "lengths" in result
                else architecture_of_parameters(self._space, parameters)
            )
        except ArchitectureError:
            # A trial that somebody added by hand at NNI's page.
            return
        score = (float(result["default"]), -float(result.get("loss", 0.0)))
        self._known.add(architecture.describe())
        self._population.append((score, architecture))

    def _child(self, rng: Random) -> Architecture:
        child = self._parent(rng)
        if self._settings.crossover:
            child = budget.crossover(self._space, child, self._parent(rng), rng)
        return budget.mutate(self._space, child, rng, self._settings.mutated_layers)

    def _parent(self, rng: Random) -> Architecture:
        size = min(self._settings.sample_size, len(self._population))
        return max(rng.sample(list(self._population), size), key=lambda each: each[0])[1]
