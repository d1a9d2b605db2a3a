"""Without limits, the usual design stands unless another is clearly better."""

from dpl_nas.engine import Cost, Evaluation, Outcome
from dpl_nas.space import Architecture, fitting
from dpl_nas.strategy.near_ties import preferred, usual_design
from dpl_nas.testing import small_space

SPACE = small_space(None)
USUAL = next(iter(fitting.portfolio(SPACE).values()))
OTHER = SPACE.architecture({"image/0": 0, "image/6": 2, "text/0": 1, "text/6": 0})


def trial(architecture: Architecture, losses: list[float]) -> Evaluation:
    outcome = Outcome(1.0, sum(losses) / 4, 4, (True,) * 4, tuple(losses))
    return Evaluation(0, architecture, 3, outcome, Cost(), Cost(), 0)


def test_a_near_tie_goes_to_the_usual_design() -> None:
    # 0.1 ahead, with a standard error of 0.1.
    best = trial(OTHER, [0.1, 0.1, 0.1, 0.1])
    usual = trial(USUAL, [0.1, 0.1, 0.1, 0.5])
    assert preferred(SPACE, [best, usual], 0.9) is best
    assert preferred(SPACE, [best, usual], 1.1) is usual
    assert preferred(SPACE, [usual, best], 0.9) is usual
    # 0.4 ahead on each image: as sure as can be.
    assert preferred(SPACE, [best, trial(USUAL, [0.5] * 4)], 9.0) is best


def test_no_margin_takes_the_best() -> None:
    best, usual = trial(OTHER, [0.1] * 4), trial(USUAL, [0.1, 0.1, 0.1, 0.2])
    assert preferred(SPACE, [best, usual], 0.0) is best
    assert preferred(SPACE, [], 1.0) is None


def test_what_was_not_tried_on_the_same_images_is_not_preferred() -> None:
    best = trial(OTHER, [0.1] * 4)
    assert preferred(SPACE, [best], 1.0) is best
    fewer = Evaluation(1, USUAL, 3, Outcome(1.0, 0.1, 4), Cost(), Cost(), 0)
    assert preferred(SPACE, [best, fewer], 1.0) is best


def test_limits_have_no_usual_design() -> None:
    limited = small_space(4)
    assert usual_design(limited) is None
    assert usual_design(SPACE) == USUAL
    best, usual = trial(OTHER, [0.1] * 4), trial(USUAL, [0.1, 0.1, 0.1, 0.2])
    assert preferred(limited, [best, usual], 9.0) is best
