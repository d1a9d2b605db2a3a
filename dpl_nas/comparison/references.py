"""Designs beside the strategies of a comparison, which no search has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dpl_nas.backbone_config import PLAIN
from dpl_nas.config import MethodConfig, RunConfig

if TYPE_CHECKING:
    from dpl_nas.training.evaluation import Scorer
    from dpl_nas.training.problem import Problem

__all__ = ["Reference", "name_in", "references_beside"]


@dataclass(frozen=True)
class Reference:
    """The plain backbone, one length at all layers, or a method with its paper's lengths.

    Attributes
    ----------
    name
        Name in tables.
    length
        Length of the uniform design.
    """

    name: str
    kind: Literal["plain", "uniform", "published"]
    length: int = 0

    def scorer(self, problem: Problem) -> tuple[Scorer, Mapping[str, Sequence[int]]]:
        """Train it on the problem, whose limits do not apply; return it and its lengths by tower.

        Lengths are those of the searched layers, in their order; none for the plain backbone.
        """
        from dpl_nas.engine.trials import trainings
        from dpl_nas.methods.plain import plain_scorers

        # References show what the limits cost.
        problem = problem.having(space=problem.space.without_limits())
        if self.kind == "plain":
            told = PLAIN[problem.backbone.classes_by]
            scorers = {told[name]: each for name, each in plain_scorers(problem).items()}
            return scorers[self.name], {}
        if self.kind == "published" and problem.method is not None:
            return problem.method.as_published(problem)
        design = problem.space.uniform(self.length)
        scorer = trainings(problem, problem.shot_rows).scorer_of(design)
        return scorer, {str(tower): each for tower, each in design.lengths.items()}


def references_beside(config: RunConfig, length: int) -> list[Reference]:
    """Return the references of a run; those of the plain backbone are the same for all methods."""
    method = config.method
    plain = PLAIN[config.space.backbone.classes_by].values()
    uniform = Reference(name_in(method, f"{length} everywhere"), "uniform", length)
    found = [*(Reference(name, "plain") for name in plain), uniform]
    if method is not None:
        found.append(Reference(name_in(method, "as published"), "published"))
    return found


def name_in(method: MethodConfig | None, name: str) -> str:
    """Return how a strategy or a design is called in tables: with its method, if there is one."""
    return name if method is None else f"{method.name}: {name}"
