"""Trials of a search: they are run, paid for, and kept in a ledger."""

from dpl_nas.engine.cost import Cost
from dpl_nas.engine.engine import TrialEngine
from dpl_nas.engine.evaluation import (
    Evaluation,
    Outcome,
    best_of,
    best_so_far,
    pareto_front,
    whole_trials,
)
from dpl_nas.engine.ledger import Ledger, read_ledger
from dpl_nas.engine.stops import StopReason
from dpl_nas.engine.trials import FewShotTrials, TrialSettings, measure, peak_bytes

__all__ = [
    "Cost",
    "Evaluation",
    "FewShotTrials",
    "Ledger",
    "Outcome",
    "StopReason",
    "TrialEngine",
    "TrialSettings",
    "best_of",
    "best_so_far",
    "measure",
    "pareto_front",
    "peak_bytes",
    "read_ledger",
    "whole_trials",
]
