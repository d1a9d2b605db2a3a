"""A run is a folder: search, training and test, each resumed where it stopped."""

from dpl_nas.runs.evaluation import evaluate
from dpl_nas.runs.pipeline import run, search, train
from dpl_nas.runs.result import EvaluationResult, RunResult, SearchRunResult, TrainRunResult

__all__ = [
    "EvaluationResult",
    "RunResult",
    "SearchRunResult",
    "TrainRunResult",
    "evaluate",
    "run",
    "search",
    "train",
]
