"""What a search found beside the manual designs that it tried."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dpl_nas.engine import Evaluation, whole_trials
from dpl_nas.engine.paired import paired_difference
from dpl_nas.io.validation import Frozen
from dpl_nas.space import Architecture, Space
from dpl_nas.space.fitting import portfolio

__all__ = ["Compared", "compare_with_manual"]


class Compared(Frozen):
    """The chosen architecture beside the best manual design among the trials of a search.

    Attributes
    ----------
    design, vectors
        Name of that design, and its number of context vectors.
    designs
        Number of manual designs that were tried.
    validation_accuracy
        Its validation accuracy, a share in 0..1.
    ahead, error
        Difference of the validation accuracies on the same images, positive if the choice is
        better, and its standard error; 0 if the choice is this design.
    log_likelihood_ahead, log_likelihood_error
        The same of the mean log-likelihood, in nats.
    """

    design: str
    vectors: int
    designs: int
    validation_accuracy: float = Field(ge=0, le=1)
    ahead: float
    error: float
    log_likelihood_ahead: float
    log_likelihood_error: float


def compare_with_manual(
    space: Space,
    evaluations: Sequence[Evaluation],
    chosen: Architecture,
    finals: Sequence[Evaluation] = (),
) -> Compared | None:
    """Compare the choice of a search with the manual designs among its whole trials.

    If there were finals, it is compared on both halves of the shots with the best manual design
    among the finalists. Returns ``None`` if there is none, or the choice was not trained as they
    were.
    """
    names = {design: name for name, design in portfolio(space).items()}
    tried = [each for each in whole_trials(evaluations) if each.architecture in names]
    trials = whole_trials(finals or evaluations)
    manual = [each for each in trials if each.architecture in names]
    choice = next((each for each in trials if each.architecture == chosen), None)
    if not manual or choice is None:
        return None
    best = manual[0]
    if best.outcome is None or choice.outcome is None:
        return None
    difference = paired_difference(choice.outcome, best.outcome)
    if difference is None:
        return None
    return Compared(
        design=names[best.architecture],
        vectors=best.architecture.vectors,
        designs=len(tried),
        validation_accuracy=best.outcome.accuracy,
        ahead=difference.accuracy,
        error=difference.accuracy_error,
        log_likelihood_ahead=difference.log_likelihood,
        log_likelihood_error=difference.log_likelihood_error,
    )
