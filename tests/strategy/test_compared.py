"""What a search found beside the manual designs that it tried."""

from dpl_nas.engine import Cost, Evaluation, Outcome
from dpl_nas.space import Architecture
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.compared import compare_with_manual
from dpl_nas.testing import small_space

SPACE = small_space()
NAMES = list(portfolio(SPACE))
MANUAL = list(portfolio(SPACE).values())
OTHER = SPACE.architecture({"image/0": 0, "image/6": 2, "text/0": 1, "text/6": 0})


def trial(number: int, architecture: Architecture, right: str, epochs: int = 3) -> Evaluation:
    hits = tuple(each == "1" for each in right)
    losses = tuple(0.2 if hit else 1.5 for hit in hits)
    outcome = Outcome(sum(hits) / len(hits), sum(losses) / len(hits), len(hits), hits, losses)
    return Evaluation(number, architecture, epochs, outcome, Cost(), Cost(), 0)


def test_the_best_manual_design_is_beside_the_choice() -> None:
    trials = [
        trial(0, MANUAL[0], "1100"),
        trial(1, MANUAL[1], "1000"),
        trial(2, OTHER, "1110"),
        trial(3, MANUAL[2], "1111", epochs=1),
    ]
    found = compare_with_manual(SPACE, trials, OTHER)
    assert found is not None
    # What was trained for fewer epochs does not count.
    assert (found.design, found.designs) == (NAMES[0], 2)
    assert found.ahead == 0.25
    assert found.error == 0.25
    assert found.validation_accuracy == 0.5
    assert found.log_likelihood_ahead > 0


def test_finals_decide_who_is_best() -> None:
    trials = [trial(0, MANUAL[0], "11"), trial(1, MANUAL[1], "10"), trial(2, OTHER, "11")]
    finals = [trial(1, MANUAL[1], "1011"), trial(2, OTHER, "1101"), trial(0, MANUAL[0], "1100")]
    found = compare_with_manual(SPACE, trials, OTHER, finals)
    assert found is not None
    assert (found.design, found.designs, found.ahead) == (NAMES[1], 2, 0.0)


def test_a_choice_that_is_manual_is_told() -> None:
    found = compare_with_manual(SPACE, [trial(0, MANUAL[0], "10")], MANUAL[0])
    assert found is not None
    assert (found.design, found.ahead, found.error) == (NAMES[0], 0, 0)


def test_nothing_to_compare() -> None:
    assert compare_with_manual(SPACE, [trial(0, OTHER, "10")], OTHER) is None
    assert compare_with_manual(SPACE, [trial(0, MANUAL[0], "10")], OTHER) is None
