"""Two trials on the same images."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.engine.evaluation import Outcome
from dpl_nas.engine.paired import paired_difference

IMAGES = st.lists(
    st.tuples(st.booleans(), st.floats(0, 9), st.booleans(), st.floats(0, 9)),
    min_size=2,
    max_size=30,
)


def outcome(right: list[bool], losses: list[float]) -> Outcome:
    count = len(right)
    return Outcome(sum(right) / count, sum(losses) / count, count, tuple(right), tuple(losses))


@given(IMAGES)
def test_differences_are_those_of_the_means(
    images: list[tuple[bool, float, bool, float]],
) -> None:
    one = outcome([each[0] for each in images], [each[1] for each in images])
    other = outcome([each[2] for each in images], [each[3] for each in images])
    found, turned = paired_difference(one, other), paired_difference(other, one)
    assert found is not None
    assert turned is not None
    assert found.accuracy == pytest.approx(one.accuracy - other.accuracy)
    assert found.log_likelihood == pytest.approx(other.loss - one.loss, abs=1e-9)
    assert (turned.accuracy, turned.log_likelihood) == pytest.approx(
        (-found.accuracy, -found.log_likelihood)
    )
    differences = [int(each[0]) - int(each[2]) for each in images]
    expected = statistics.stdev(differences) / math.sqrt(len(images))
    assert found.accuracy_error == pytest.approx(expected)
    assert found.score == pytest.approx(one.score - other.score, abs=1e-9)
    scores = [
        (right - loss) - (other_right - other_loss)
        for right, loss, other_right, other_loss in images
    ]
    assert found.score_error == pytest.approx(
        statistics.stdev(scores) / math.sqrt(len(images)), abs=1e-9
    )
    itself = paired_difference(one, one)
    assert itself is not None
    assert (itself.accuracy, itself.accuracy_error, itself.log_likelihood) == (0, 0, 0)


def test_what_has_other_images_or_none_is_not_compared() -> None:
    one = outcome([True, False], [0.1, 2.0])
    assert paired_difference(one, outcome([True] * 3, [0.1] * 3)) is None
    assert paired_difference(one, Outcome(0.5, 0.6, 2)) is None
    assert paired_difference(outcome([True], [0.1]), outcome([True], [0.1])) is None
