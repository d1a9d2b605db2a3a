"""Samplers of Optuna (Akiba et al. 2019) behind the interface of :class:`Strategy`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from dpl_nas.config import SearchSettings
from dpl_nas.errors import StrategyError
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.seeds import derive_short_seed
from dpl_nas.space import Architecture, Space, fitting
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.search import Search

__all__ = ["from_optuna", "nearest"]


def from_optuna(sampler: Any, settings: SearchSettings | None = None) -> Strategy:
    """A sampler of Optuna behind the interface of :class:`Strategy`.

    Optuna is optional: ``pip install '.[optuna]'``. The sampler is asked for one length a
    layer, a categorical parameter with the name of its label. Lengths that do not fit the limits
    are replaced by the nearest that do, and the sampler is told their result.

    Each search begins with a copy of ``sampler`` as it is now, whose random generators the seed of
    the search starts.

    Raises
    ------
    StrategyError
        If Optuna is not installed, or ``sampler`` is none of its samplers.
    """
    try:
        from optuna.samplers import BaseSampler
    except ImportError as error:
        raise StrategyError(
            f"from_optuna needs the package optuna, which cannot be imported ({error}): install "
            "it with pip install '.[optuna]'"
        ) from error
    if not isinstance(sampler, BaseSampler):
        raise StrategyError(
            "from_optuna expects a sampler, such as optuna.samplers.TPESampler(), found "
            f"{abbreviate(sampler)}"
        )
    return _Sampled(sampler, **(settings or SearchSettings()).model_dump(mode="json"))


class _Sampled(Strategy):
    def __init__(self, sampler: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self._sampler = sampler
        # The ledger tells searches apart by this.
        self.name = f"optuna:{type(sampler).__module__}.{type(sampler).__qualname__}"

    def explore(self, search: Search) -> None:
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import TrialState

        study = _begin(self._sampler, search)
        lengths = {
            label: CategoricalDistribution(search.space.towers[tower].lengths)
            for label, tower, _ in search.space.labels()
        }
        while search.affords() and not study.ended:
            asked = [study.ask(lengths) for _ in range(search.engine.jobs)]
            found = search.evaluate(nearest(search.space, trial.params) for trial in asked)
            # The budget may end before the last of them.
            for trial, evaluation in zip(asked, found, strict=False):
                if evaluation.outcome is None:
                    study.tell(trial, state=TrialState.FAIL)
                else:
                    study.tell(trial, search.reward(evaluation))


def nearest(space: Space, lengths: dict[str, int]) -> Architecture:
    """The architecture that fits whose lengths by label differ the least in sum."""
    return fitting.project(
        space,
        {
            label: [-abs(length - lengths[label]) for length in space.towers[tower].lengths]
            for label, tower, _ in space.labels()
        },
    )


def _begin(sampler: Any, search: Search) -> Any:
    """Make a study with a copy of the sampler; its ``ended`` says whether that has nothing new."""
    import optuna

    sampler = copy.deepcopy(sampler)
    _seed(sampler, search.seed, "sampler", set())
    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study: Any = optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(told)
    study.ended = False
    # Optuna's own would raise an error: it expects to run the trials itself.
    study.stop = lambda: setattr(study, "ended", True)
    return study


def _seed(part: Any, seed: int, name: str, known: set[int]) -> None:
    """Start all generators of a sampler and of its parts; Optuna would start them at random."""
    if id(part) in known:
        return
    known.add(id(part))
    own = derive_short_seed(seed, "optuna", name)
    generator = getattr(part, "rng", part)
    if isinstance(generator, np.random.RandomState):
        generator.seed(own)
        return
    if name != "sampler" and not type(part).__module__.startswith("optuna."):
        return
    for key, value in vars(part).items() if hasattr(part, "__dict__") else ():
        if key == "_seed" and isinstance(value, int):
            setattr(part, key, own)
        else:
            _seed(value, seed, f"{name}/{key}", known)
