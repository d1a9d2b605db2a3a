"""Search strategies, mirroring ``nni.nas.strategy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dpl_nas.strategy.result import EpochRecord, SearchResult

if TYPE_CHECKING:
    from dpl_nas.strategy.darts import DARTS

__all__ = ["DARTS", "EpochRecord", "SearchResult"]


def __getattr__(name: str) -> Any:
    # NNI takes seconds to import: only who searches waits for it.
    if name == "DARTS":
        from dpl_nas.nni.quiet import quiet

        with quiet():
            from dpl_nas.strategy.darts import DARTS
        return DARTS
    raise AttributeError(f"module {__name__} has no attribute {name}")
