"""Settings of a method that a small search on the shots chooses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dpl_nas.config import SearchSettings
from dpl_nas.errors import ConfigError
from dpl_nas.methods import Method, TowerMethod

if TYPE_CHECKING:
    from dpl_nas.training.problem import Problem

__all__ = ["tuned"]

#: The share of its epochs that a method in the towers is trained for, to be compared.
_SHARE = 0.5


def tuned(method: Method, problem: Problem) -> tuple[str, Method]:
    """Return the best of a method's variants, and what tells it from the others.

    Each learns from half of the shots, in the towers for half of its epochs, and is compared
    on the other half by :func:`~dpl_nas.validation_score.validation_score`. With one shot a class
    there is nothing to compare on, so the first is taken. One that stops being finite numbers is
    not taken.

    Raises
    ------
    DplError
        As :meth:`Method.learn`, if all fail.
    """
    from dpl_nas.engine import measure
    from dpl_nas.training.batches import FewShotImages

    variants = method.variants(problem)
    if len(variants) == 1 or problem.shots == 1:
        return next(iter(variants.items()))
    task, backbone = problem.task, problem.backbone
    split = problem.split(SearchSettings(validation="split"))
    images = FewShotImages(task.pool, split.validation, backbone, "none")

    scores: dict[str, float] = {}
    failed: ConfigError | None = None
    for name, variant in variants.items():
        try:
            learned = _short(variant).adapt(problem, split.train, quiet=True)
        except ConfigError as error:
            failed = failed or error
        else:
            scores[name] = measure(learned.scorer(backbone, task), images).score
    if failed is not None and not scores:
        raise failed
    # Of equals, the first: the scores are in its order.
    best = max(scores, key=lambda name: scores[name])
    return best, variants[best]


def _short(method: Method) -> Method:
    if not isinstance(method, TowerMethod) or isinstance(method.recipe, str):
        return method
    epochs = math.ceil(_SHARE * method.recipe.epochs)
    recipe = method.recipe.model_copy(update={"epochs": epochs})
    return method.model_copy(update={"recipe": recipe})
