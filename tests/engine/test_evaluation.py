import math

from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.engine import Cost, Evaluation, Outcome, best_of, pareto_front
from dpl_nas.testing import small_space

SPACE = small_space(None, "0-4")
IMAGES = 4

outcomes = st.builds(
    lambda correct, loss: Outcome(correct / IMAGES, loss, IMAGES),
    st.integers(0, IMAGES),
    # Few values, so that ties are common; a loss can be tiny, and huge.
    st.sampled_from([0.0, 1e-12, 0.3, 0.3, 0.7, 2.0, 800.0]),
)


def evaluation(
    number: int, lengths: tuple[int, int], outcome: Outcome | None, epochs: int
) -> Evaluation:
    architecture = SPACE.architecture(
        {"image/0": lengths[0], "image/6": lengths[1], "text/0": 0, "text/6": 0}
    )
    error = None if outcome else "failed"
    return Evaluation(number, architecture, epochs, outcome, Cost(), Cost(), 0, error)


evaluations = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
        st.none() | outcomes,
        st.sampled_from([1, 2, 2, 2]),
    ),
    max_size=8,
).map(lambda found: tuple(evaluation(n, *each) for n, each in enumerate(found)))


def whole(found: tuple[Evaluation, ...]) -> list[Evaluation]:
    """Those that count: of the most epochs, and well ended."""
    most = max((each.epochs for each in found if each.outcome), default=0)
    return [each for each in found if each.outcome and each.epochs == most]


@given(outcomes, outcomes)
def test_both_the_accuracy_and_the_loss_count(a: Outcome, b: Outcome) -> None:
    if a.accuracy >= b.accuracy and a.loss <= b.loss:
        assert a.score >= b.score
    assert a.score <= 1


def test_a_point_of_accuracy_is_worth_a_hundredth_of_a_nat() -> None:
    assert Outcome(0.5, 0.6, 10).score > Outcome(0.5, 0.61, 10).score
    assert Outcome(0.53, 0.62, 100).score > Outcome(0.52, 0.62, 100).score
    assert Outcome(0.52, 0.60, 100).score > Outcome(0.53, 0.62, 100).score


@given(evaluations)
def test_the_best(found: tuple[Evaluation, ...]) -> None:
    best = best_of(found)
    counted = whole(found)
    assert (best is None) == (not counted)
    if best is None:
        return
    assert best in counted
    for each in counted:
        assert each.score <= best.score
        if each.score == best.score:
            assert (best.architecture.vectors, best.number) <= (
                each.architecture.vectors,
                each.number,
            )
    assert best_of(iter(found)) == best


@given(evaluations)
def test_the_front(found: tuple[Evaluation, ...]) -> None:
    front = pareto_front(found)
    counted = whole(found)

    def beaten(each: Evaluation) -> bool:
        return any(
            other.architecture.vectors <= each.architecture.vectors
            and other.score >= each.score
            and (other.architecture.vectors, other.score) != (each.architecture.vectors, each.score)
            for other in counted
        )

    assert all(each in counted and not beaten(each) for each in front)
    points = [(each.architecture.vectors, each.score) for each in front]
    # All points that nobody beats, each once, with more vectors for a better score.
    assert set(points) == {
        (each.architecture.vectors, each.score) for each in counted if not beaten(each)
    }
    assert points == sorted(set(points))
    assert [score for _, score in points] == sorted({score for _, score in points})
    best = best_of(found)
    assert bool(front) == (best is not None)
    assert best is None or front[-1] == best


def test_costs_add_up() -> None:
    assert Cost(1, 2, 0.5) + Cost(10, 20, 1.0) == Cost(11, 22, 1.5)


def test_as_plain_values() -> None:
    found = evaluation(3, (1, 2), Outcome(0.5, 0.25, 4), 2)
    assert SPACE.architecture_of(found.as_dict()["lengths"]) == found.architecture
    assert found.as_dict()["vectors"] == 3
    failed = evaluation(4, (1, 2), None, 2)
    assert failed.accuracy is failed.as_dict()["accuracy"] is None
    assert failed.score == -math.inf
