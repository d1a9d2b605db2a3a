"""Diagnostics: whether a task tells architectures apart, and whether searches rank them right."""

from __future__ import annotations

from dpl_nas.diagnostics.ranking import Ranking, rank_proxies
from dpl_nas.diagnostics.separation import Separation, measure_separation

__all__ = ["Ranking", "Separation", "measure_separation", "rank_proxies"]
