"""Search strategies, mirroring ``nni.nas.strategy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpl_nas.strategy.base import Found, Strategy
    from dpl_nas.strategy.darts import DARTS
    from dpl_nas.strategy.foreign import from_nni
    from dpl_nas.strategy.gumbel import GumbelDARTS
    from dpl_nas.strategy.halving import Halving
    from dpl_nas.strategy.manual import Manual
    from dpl_nas.strategy.multi_trial import TPE, Evolution, Grid, Random
    from dpl_nas.strategy.one_shot import OneShot
    from dpl_nas.strategy.result import EpochRecord, SearchResult
    from dpl_nas.strategy.study import Study
    from dpl_nas.strategy.table import make_strategy

__all__ = [
    "DARTS",
    "TPE",
    "EpochRecord",
    "Evolution",
    "Found",
    "Grid",
    "GumbelDARTS",
    "Halving",
    "Manual",
    "OneShot",
    "Random",
    "SearchResult",
    "Strategy",
    "Study",
    "from_nni",
    "make_strategy",
]

#: NNI takes seconds to import: only who searches waits for it.
_HOMES = {
    "DARTS": "darts",
    "EpochRecord": "result",
    "Evolution": "multi_trial",
    "Found": "base",
    "Grid": "multi_trial",
    "GumbelDARTS": "gumbel",
    "Halving": "halving",
    "Manual": "manual",
    "OneShot": "one_shot",
    "Random": "multi_trial",
    "SearchResult": "result",
    "Strategy": "base",
    "Study": "study",
    "TPE": "multi_trial",
    "from_nni": "foreign",
    "make_strategy": "table",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        from dpl_nas.nni.quiet import quiet

        with quiet():
            return getattr(import_module(f"dpl_nas.strategy.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
