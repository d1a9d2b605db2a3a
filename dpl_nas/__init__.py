"""Searches the context length of every layer of a frozen CLIP with DARTS on NNI.

>>> import dpl_nas
>>> space = dpl_nas.load_space("mini_clip")
>>> task = dpl_nas.load_task("mini/digits")
>>> darts = dpl_nas.strategy.make_strategy("darts")
>>> found = darts.search(space, task, shots=16, seed=1)
>>> prompts = dpl_nas.train(found.architecture, space, task, shots=16, seed=1)
>>> dpl_nas.evaluate(prompts, task).accuracy  # doctest: +SKIP

Spaces and tasks may be given by their names, files by their paths: texts or any ``os.PathLike``.
What takes long shows its progress at a terminal and in notebooks, but for ``quiet=True``.
``PromptClassifier`` goes from labelled pictures to a classifier in use. ``Architecture``,
``SearchBudget``, ``Space`` and ``Task`` are the types of what goes in and comes out: ``help`` on
one of them or on a function tells more.
Importing the package is quick: torch and NNI load only when something needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpl_nas import strategy
    from dpl_nas.backbone import load_backbone
    from dpl_nas.classifier.estimator import PromptClassifier
    from dpl_nas.config import load_strategy
    from dpl_nas.runs import run
    from dpl_nas.search_budget import SearchBudget
    from dpl_nas.space import Architecture, Space, load_architecture, load_space
    from dpl_nas.tasks import Task, load_task, make_task
    from dpl_nas.training import evaluate, load_prompts, train

__all__ = [
    "Architecture",
    "PromptClassifier",
    "SearchBudget",
    "Space",
    "Task",
    "__version__",
    "evaluate",
    "load_architecture",
    "load_backbone",
    "load_prompts",
    "load_space",
    "load_strategy",
    "load_task",
    "make_task",
    "run",
    "strategy",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "dpl_nas.space",
    "PromptClassifier": "dpl_nas.classifier.estimator",
    "SearchBudget": "dpl_nas.search_budget",
    "Space": "dpl_nas.space",
    "Task": "dpl_nas.tasks",
    "evaluate": "dpl_nas.training",
    "load_architecture": "dpl_nas.space",
    "load_backbone": "dpl_nas.backbone",
    "load_prompts": "dpl_nas.training",
    "load_space": "dpl_nas.space",
    "load_strategy": "dpl_nas.config",
    "load_task": "dpl_nas.tasks",
    "make_task": "dpl_nas.tasks",
    "run": "dpl_nas.runs",
    "train": "dpl_nas.training",
}


def __getattr__(name: str) -> Any:
    if name == "strategy":
        return import_module("dpl_nas.strategy")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    # The module's docstring covers the classes: their methods would fill 1700 lines of help.
    return sorted(name for name in __all__ if not name[0].isupper())
