"""What the plain backbone answers, beside which designs are tested."""

from __future__ import annotations

from dpl_nas.methods.class_means import ClassMeans
from dpl_nas.methods.linear_probe import LinearProbe
from dpl_nas.training.evaluation import Scorer, zero_shot
from dpl_nas.training.problem import Problem

__all__ = ["plain_scorers"]


def plain_scorers(problem: Problem) -> dict[str, Scorer]:
    """Return them by the names of PLAIN: zero-shot, or class means and the linear probe.

    The latter, of a backbone without a text tower, are made of the problem's shots.
    """
    task, backbone = problem.task, problem.backbone
    if backbone.classes_by != "means":
        return {"zero_shot": zero_shot(task, backbone)}
    return {
        "class_means": ClassMeans().adapt(problem, quiet=True).scorer(backbone, task),
        "linear_probe": LinearProbe().adapt(problem, quiet=True).scorer(backbone, task),
    }
