"""Diagnostics of the search: whether a task tells configurations apart, and scores rank them."""

from __future__ import annotations

from dpl_nas.diagnostics.ranking import Ranking, rank_proxies
from dpl_nas.diagnostics.separation import Separation, measure_separation

__all__ = ["Ranking", "Separation", "measure_separation", "rank_proxies"]
