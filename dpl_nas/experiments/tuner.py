"""A tuner for ``nnictl`` whose architectures fit the limits of a space."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol

import nni
from nni.tuner import Tuner

from dpl_nas.config import EvolutionSettings, RandomSettings, TpeSettings
from dpl_nas.errors import ArchitectureError, ConfigError, SpaceError
from dpl_nas.io.validation import validate
from dpl_nas.nni.search_space import (
    architecture_of_parameters,
    nni_search_space,
    parse_architecture,
)
from dpl_nas.nni.tpe import FittingTpe
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, fitting, load_space
from dpl_nas.validation_score import validation_score

__all__ = ["FittingTuner"]

#: The number of tries for a new architecture before a known one is given out again.
_TRIES = 200
#: Manual designs that are tried first: they cover each tower, and first, last and all layers.
_DESIGNS = 6

Algorithm = Literal["random", "evolution", "tpe"]


class FittingTuner(Tuner):  # type: ignore[misc]
    """Proposes architectures that fit the limits, which NNI's own tuners do not know.

    In an experiment, ``tuner: {className: dpl_nas.experiments.tuner.FittingTuner, codeDirectory: .,
    classArgs: {space: mini_clip_budget12}}``. Unlike NNI's evolution, every algorithm is seeded,
    and remembers the finished trials of a resumed experiment.

    Parameters
    ----------
    space
        Name of a packaged space, or absolute path of a YAML file: NNI starts tuners elsewhere.
    algorithm
        Name of the algorithm: ``evolution`` (regularised: Real et al. 2019, arXiv 1802.01548),
        ``tpe`` (:class:`~dpl_nas.nni.tpe.FittingTpe`) or ``random``.
    seed
        Seed of the tuner: with concurrency 1, the same seed tries the same architectures.
    settings
        Settings of the algorithm: see :class:`~dpl_nas.config.EvolutionSettings` and
        :class:`~dpl_nas.config.TpeSettings`. ``portfolio``, the number of manual designs that are
        tried first, is 6 unless it is given.

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
        self._space = load_space(Path(space) if space.endswith((".yml", ".yaml")) else space)
        chosen = _settings(algorithm, {"portfolio": _DESIGNS, **settings})
        self._proposer = _proposer(chosen, self._space, seed)
        self._seed = seed
        self._designs = tuple(fitting.portfolio(self._space).values())[: chosen.portfolio]
        self._count = fitting.count(self._space)
        self._known: set[Architecture] = set()

    def update_search_space(self, search_space: Mapping[str, Any]) -> None:
        """Check the search space of the experiment.

        Raises
        ------
        SpaceError
            If it is not the space that the tuner was given.
        """
        if dict(search_space) != nni_search_space(self._space):
            raise SpaceError(
                f"searchSpace of the experiment is not that of space {self._space.name}: use the "
                "output of dpl-nas space nni"
            )

    def generate_parameters(
        self,
        parameter_id: int,
        **_: Any,
    ) -> dict[str, int]:
        """The next architecture: lengths by label.

        Raises
        ------
        nni.NoMoreTrialError
            If every architecture that fits was given out.
        """
        if len(self._known) >= self._count:
            raise nni.NoMoreTrialError(f"all {self._count} architectures were tried")
        rng = Random(derive_seed(self._seed, "nni", parameter_id, len(self._known)))
        manual = (each for each in self._designs if each not in self._known)
        # If hardly any proposal is new, try a random draw; one from the list of all surely is new.
        ways: tuple[Callable[[], Architecture], ...] = (
            lambda: self._proposer.propose(rng),
            lambda: fitting.sample(self._space, rng),
        )
        fresh = (
            each
            for draw in ways
            for each in fitting.distinct(draw, 1, tries=_TRIES, known=self._known)
        )
        rest = (each for each in fitting.enumerate_all(self._space) if each not in self._known)
        chosen = next(chain(manual, fresh, rest))
        self._known.add(chosen)
        return chosen.by_label()

    def receive_trial_result(
        self,
        parameter_id: int,  # noqa: ARG002 - NNI's signature
        parameters: Mapping[str, Any],
        value: Any,
        **_: Any,
    ) -> None:
        """Add a trial to the population; the oldest one leaves it."""
        self._learn(parameters, value)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn of the trials that ended before the experiment was resumed."""
        for trial in data:
            self._learn(trial["parameter"], trial["value"])

    def _learn(self, parameters: Mapping[str, Any], value: Any) -> None:
        result = value if isinstance(value, dict) else {"default": value}
        try:
            # NNI may mix up the parameters of trials that began at the same time.
            architecture = (
                parse_architecture(self._space, result["lengths"])
                if "lengths" in result
                else architecture_of_parameters(self._space, parameters)
            )
        except ArchitectureError:
            # A trial that somebody added by hand at NNI's page.
            return
        score = validation_score(float(result["default"]), float(result.get("loss", 0.0)))
        self._known.add(architecture)
        self._proposer.learn(architecture, score)


class _Proposer(Protocol):
    def propose(self, rng: Random) -> Architecture:
        """The next proposal; it need not be new."""

    def learn(self, architecture: Architecture, score: float) -> None:
        """Take in the result of a trial that ended well, whoever proposed it."""


class _Draws:
    """Random search: all architectures that fit are equally likely."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def propose(self, rng: Random) -> Architecture:
        return fitting.sample(self._space, rng)

    def learn(self, architecture: Architecture, score: float) -> None:
        pass


class _Evolution:
    """Evolution of the latest trials. While the population is not full, it draws at random."""

    def __init__(self, space: Space, settings: EvolutionSettings) -> None:
        self._space = space
        self._settings = settings
        self._population: deque[tuple[float, Architecture]] = deque(maxlen=settings.population_size)

    def propose(self, rng: Random) -> Architecture:
        if len(self._population) < self._settings.population_size:
            return fitting.sample(self._space, rng)
        return fitting.offspring(
            self._space,
            lambda: self._parent(rng),
            rng,
            crosses=self._settings.crossover,
            mutated_layers=self._settings.mutated_layers,
        )

    def learn(self, architecture: Architecture, score: float) -> None:
        self._population.append((score, architecture))

    def _parent(self, rng: Random) -> Architecture:
        drawn = rng.sample(list(self._population), self._settings.sample_size)
        return max(drawn, key=lambda each: each[0])[1]


def _settings(
    algorithm: Algorithm, settings: dict[str, Any]
) -> EvolutionSettings | TpeSettings | RandomSettings:
    what = (settings, "FittingTuner", ConfigError)
    match algorithm:
        case "evolution":
            return validate(EvolutionSettings, *what)
        case "tpe":
            return validate(TpeSettings, *what)
        case "random":
            return validate(RandomSettings, *what)
    raise ConfigError(f"expected the algorithm evolution, tpe or random, found {algorithm!r}")


def _proposer(
    settings: EvolutionSettings | TpeSettings | RandomSettings, space: Space, seed: int
) -> _Proposer:
    match settings:
        case EvolutionSettings():
            return _Evolution(space, settings)
        case TpeSettings():
            return FittingTpe(space, settings, seed)
        case RandomSettings():
            return _Draws(space)
