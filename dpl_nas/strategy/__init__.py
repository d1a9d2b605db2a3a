"""Search strategies, mirroring ``nni.nas.strategy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpl_nas.strategy.adapt import Adapt
    from dpl_nas.strategy.base import Found, Strategy
    from dpl_nas.strategy.bayesian import Bayesian
    from dpl_nas.strategy.darts import DARTS
    from dpl_nas.strategy.evolution import Evolution
    from dpl_nas.strategy.foreign import from_nni
    from dpl_nas.strategy.grid import Grid
    from dpl_nas.strategy.gumbel_darts import GumbelDARTS
    from dpl_nas.strategy.halving import Halving
    from dpl_nas.strategy.manual import Manual
    from dpl_nas.strategy.one_shot import OneShot
    from dpl_nas.strategy.one_tower import OneTower
    from dpl_nas.strategy.optuna_samplers import from_optuna
    from dpl_nas.strategy.pro_vpt import ProVpt
    from dpl_nas.strategy.random import Random
    from dpl_nas.strategy.registry import make_strategy
    from dpl_nas.strategy.result import EpochRecord, SearchResult
    from dpl_nas.strategy.search import Search
    from dpl_nas.strategy.tpe import TPE

__all__ = [
    "DARTS",
    "TPE",
    "Adapt",
    "Bayesian",
    "EpochRecord",
    "Evolution",
    "Found",
    "Grid",
    "GumbelDARTS",
    "Halving",
    "Manual",
    "OneShot",
    "OneTower",
    "ProVpt",
    "Random",
    "Search",
    "SearchResult",
    "Strategy",
    "from_nni",
    "from_optuna",
    "make_strategy",
]

#: Modules of the names that are no built-in strategies.
_HOMES = {
    "EpochRecord": "result",
    "Found": "base",
    "Search": "search",
    "SearchResult": "result",
    "Strategy": "base",
    "from_nni": "foreign",
    "from_optuna": "optuna_samplers",
    "make_strategy": "registry",
}


def __getattr__(name: str) -> Any:
    # NNI takes seconds to import, so it is imported only for a search.
    from importlib import import_module

    from dpl_nas.config import STRATEGIES

    homes = {known.class_name: module for module, known in STRATEGIES.items()} | _HOMES
    if name in homes:
        from dpl_nas.nni.quiet import quiet

        with quiet():
            return getattr(import_module(f"dpl_nas.strategy.{homes[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
