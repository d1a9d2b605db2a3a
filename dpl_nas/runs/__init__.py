"""A run is a folder: search, training and test, each resumed where it stopped."""

from dpl_nas.runs.pipeline import evaluate, run, search, train

__all__ = ["evaluate", "run", "search", "train"]
