"""Near ties without limits: which trial a search takes if several are about as good."""

from __future__ import annotations

from collections.abc import Sequence

from dpl_nas.engine import Evaluation
from dpl_nas.engine.paired import paired_difference
from dpl_nas.space import Architecture, Space
from dpl_nas.space.fitting import portfolio

__all__ = ["preferred", "usual_design"]


def usual_design(space: Space) -> Architecture | None:
    """Return the design that the field takes where nothing limits it, such as 4 everywhere.

    It is the first of the portfolio. ``None`` if the space has limits, or no design.
    """
    return None if space.limits else next(iter(portfolio(space).values()), None)


def preferred(space: Space, trials: Sequence[Evaluation], margin: float) -> Evaluation | None:
    """Return the best trial, or that of the usual design if the best is not clearly better.

    The score of the best must be more than ``margin`` standard errors above that of the usual
    design, on the same images: the best of many trials is partly the luckiest, and without limits
    more context vectors are seldom worse (``python -m benchmarks.choice``).

    Parameters
    ----------
    trials
        Whole trials, the best first.
    margin
        0 takes the best in any case.

    Returns
    -------
    Evaluation or None
        ``None`` if there are no trials.
    """
    best = next(iter(trials), None)
    usual = usual_design(space)
    known = next((each for each in trials if each.architecture == usual), None)
    if not margin or best is None or best.outcome is None:
        return best
    if known is None or known.outcome is None:
        return best
    difference = paired_difference(best.outcome, known.outcome)
    if difference is None or difference.score > margin * difference.score_error:
        return best
    return known
