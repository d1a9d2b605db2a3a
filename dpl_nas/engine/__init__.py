"""Trials of a search: run, paid for, and kept in a ledger."""

from dpl_nas.engine.engine import TrialEngine
from dpl_nas.engine.evaluation import Cost, Evaluation, Outcome, best_of, pareto_front
from dpl_nas.engine.ledger import Ledger, read_ledger
from dpl_nas.engine.trials import FewShotTrials, TrialSettings

__all__ = [
    "Cost",
    "Evaluation",
    "FewShotTrials",
    "Ledger",
    "Outcome",
    "TrialEngine",
    "TrialSettings",
    "best_of",
    "pareto_front",
    "read_ledger",
]
