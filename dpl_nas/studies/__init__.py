"""Studies of the search itself: whether configurations differ, and are ranked right."""

from __future__ import annotations

from dpl_nas.studies.ranking import Ranking, study_ranking
from dpl_nas.studies.separation import Separation, study_separation

__all__ = ["Ranking", "Separation", "study_ranking", "study_separation"]
