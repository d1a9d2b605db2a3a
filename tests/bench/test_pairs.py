"""Differences of methods are of the same images, seed and tests."""

import math
from typing import Any

import pytest

from dpl_nas.bench import BenchCell
from dpl_nas.bench.pairs import differences, harmonic, measures
from dpl_nas.errors import BenchError


def cell(method: str, task: str, seed: int = 1, **values: Any) -> BenchCell:
    return BenchCell(
        method=method, task=task, seed=seed, **{"protocol": "few-shot", "shots": 16, **values}
    )


def test_differences_are_of_pairs_by_task() -> None:
    shares = {
        ("dpl", "a"): {1: 0.7, 2: 0.9},
        ("coop", "a"): {1: 0.5, 2: 0.6},
        ("dpl", "b"): {1: 0.4},
        ("coop", "b"): {1: 0.5, 2: 0.1},
        ("maple", "a"): {1: 0.5, 2: 0.6},
        ("maple", "b"): {1: 0.6, 2: 0.2},
    }
    cells = [
        cell(method, task, seed, accuracy={"all": share})
        for (method, task), own in shares.items()
        for seed, share in own.items()
    ]
    cells.append(cell("dpl", "b", 2, error="killed"))
    first, second = differences(cells, "coop")
    assert (first.method, first.measure, first.ahead) == ("dpl", "all", 1)
    assert first.over.values == pytest.approx((0.25, -0.1))
    # Student's test with one degree of freedom, whose distribution is Cauchy's.
    assert first.p == pytest.approx(1 - 2 / math.pi * math.atan(0.075 / 0.175))
    assert second.over.values == pytest.approx((0.0, 0.1))
    assert second.ahead == 1
    assert (first.corrected_p, second.corrected_p) == pytest.approx((1.0, 1.0))
    assert first.bootstrap is not None
    assert -0.1 <= first.bootstrap.low < first.bootstrap.high <= 0.4
    with pytest.raises(BenchError, match="the baseline ivlp is not in the bench: choose one of"):
        differences(cells, "ivlp")


def test_numbers_of_shots_are_not_mixed_up() -> None:
    cells = [
        cell(method, "a", accuracy={"all": share}, shots=shots)
        for method, shares in (("coop", (0.1, 0.5)), ("dpl", (0.2, 0.8)))
        for shots, share in zip((1, 16), shares, strict=True)
    ]
    (found,) = differences(cells, "coop")
    assert found.over.values == pytest.approx((0.2,))
    assert (found.interval, found.bootstrap, found.p, found.corrected_p) == (None,) * 4


def test_what_is_measured_of_each_protocol() -> None:
    both = cell("coop", "a", protocol="base-to-new", accuracy={"base": 0.8, "new": 0.4})
    assert measures(both) == {
        ("base", "a"): 0.8,
        ("new", "a"): 0.4,
        ("H", "a"): pytest.approx(0.64 / 1.2),
    }
    half = cell("linear-probe", "a", protocol="base-to-new", accuracy={"base": 0.8})
    assert measures(half) == {("base", "a"): 0.8}
    shifted = {"a": 0.9, "b": 0.5, "c": 0.3}
    far = cell("coop", "a", protocol="domain-generalization", accuracy=shifted)
    assert measures(far) == {("all", "a"): 0.9, ("others", "b"): 0.5, ("others", "c"): 0.3}
    assert harmonic(0.0, 0.0) == 0.0


def test_what_cannot_answer_for_new_classes_is_compared_on_base_alone() -> None:
    cells = [
        cell("coop", "a", protocol="base-to-new", accuracy={"base": 0.8, "new": 0.4}),
        cell("linear-probe", "a", protocol="base-to-new", accuracy={"base": 0.9}),
    ]
    assert [(each.measure, each.over.mean) for each in differences(cells, "coop")] == [
        ("base", pytest.approx(0.1))
    ]
