import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from dpl_nas.comparison.statistics import (
    agreement,
    bootstrap_interval,
    estimate,
    holm,
    mean_ranks,
    nested_interval,
    ranks,
    signed_rank,
    t_interval,
    t_test,
)

SHARES = st.floats(0, 1)
DIFFERENCES = st.lists(st.integers(-1000, 1000).map(lambda n: n / 1000), min_size=1, max_size=9)
P_VALUES = st.lists(SHARES, max_size=12)


def test_t_interval_of_a_textbook() -> None:
    # Moore and McCabe, vitamin C in corn soy blend (mg/100 g): 22.50 +- 6.0 with t* = 2.365.
    values = [26, 31, 23, 22, 11, 22, 14, 31]
    found = estimate(values)
    assert found.mean == 22.5
    assert found.half_width == pytest.approx(2.365 * 7.19 / math.sqrt(8), abs=0.01)
    interval = t_interval(values)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((16.5, 28.5), abs=0.05)


def test_t_interval_of_too_little() -> None:
    assert estimate([]).mean is None
    assert estimate([0.5]).mean == 0.5
    assert estimate([0.5]).half_width is None
    assert estimate([0.5, 0.5]).half_width == 0
    # Equal values promise nothing about others.
    assert t_interval([0.5, 0.5]) is None
    assert t_interval([0.5]) is None


@given(st.lists(SHARES, min_size=2, max_size=20))
def test_t_interval_is_that_of_scipy(values: list[float]) -> None:
    assume(max(values) - min(values) > 1e-6)
    interval = t_interval(values)
    assert interval is not None
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_wilcoxon_of_the_textbook() -> None:
    # The heights of Darwin's plants in eighths of an inch; p = 0.0413 in scipy's documentation.
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    found = signed_rank(darwin)
    assert found is not None
    assert found.p == pytest.approx(0.0413, abs=5e-5)
    assert found.method == "exact"
    assert found.effect == pytest.approx((96 - 24) / 120)


@given(DIFFERENCES)
@settings(deadline=None, max_examples=60)
def test_wilcoxon_by_trying_all_signs(differences: list[float]) -> None:
    found = signed_rank(differences)
    assert found is not None
    left = [value for value in differences if value]
    assert (found.pairs, found.zeros) == (len(differences), len(differences) - len(left))
    if not left:
        assert (found.p, found.method) == (1, "none")
        return
    places = stats.rankdata([abs(value) for value in left])
    total = sum(places)
    seen = sum(rank for rank, value in zip(places, left, strict=True) if value > 0)
    extreme = sum(
        abs(sum(rank for rank, sign in zip(places, signs, strict=True) if sign) - total / 2)
        >= abs(seen - total / 2) - 1e-9
        for signs in itertools.product((False, True), repeat=len(left))
    )
    assert found.p == pytest.approx(extreme / 2 ** len(left))
    assert found.smallest_p == min(2 / 2 ** len(left), 1)
    assert found.p >= found.smallest_p - 1e-12
    assert found.effect == pytest.approx((2 * seen - total) / total)


@given(
    st.lists(st.integers(1, 10**6), min_size=14, max_size=60, unique=True),
    st.lists(st.sampled_from([-1, 1]), min_size=60, max_size=60),
)
@settings(deadline=None)
def test_wilcoxon_of_many_is_that_of_scipy(sizes: list[int], signs: list[int]) -> None:
    differences = [size * sign / 10**6 for size, sign in zip(sizes, signs, strict=False)]
    found = signed_rank(differences)
    assert found is not None
    assert found.method == ("exact" if len(differences) <= 50 else "asymptotic")
    assert found.p == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_wilcoxon_takes_equal_shares_for_ties() -> None:
    # 0.81 - 0.79 and 0.83 - 0.81 differ in their last bits.
    found = signed_rank([0.81 - 0.79, 0.83 - 0.81, 0.3 - 0.1 - 0.2])
    assert found is not None
    assert (found.method, found.zeros, found.p) == ("permutation", 1, 0.5)
    assert signed_rank([]) is None


def test_holm_by_hand() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 may not be below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []


@given(P_VALUES)
def test_holm_is_monotone_and_between_the_p_and_bonferroni(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, c in zip(p_values, corrected, strict=True):
        assert p <= c <= min(len(p_values) * p, 1) + 1e-12
    in_order = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert in_order == sorted(in_order)


@given(P_VALUES, st.data())
def test_holm_never_falls_when_a_p_rises(p_values: list[float], data: st.DataObject) -> None:
    raised = [data.draw(st.floats(p, 1)) for p in p_values]
    pairs = zip(holm(p_values), holm(raised), strict=True)
    assert all(low <= high + 1e-12 for low, high in pairs)


@given(st.lists(st.integers(-500, 500).map(lambda n: n / 1000), min_size=2, max_size=15))
@settings(deadline=None, max_examples=30)
def test_bootstrap(values: list[float]) -> None:
    interval = bootstrap_interval(values, seed=1, resamples=199)
    if len(set(values)) == 1:
        assert interval is None
        return
    assert interval is not None
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12
    assert interval == bootstrap_interval(values, seed=1, resamples=199)


def test_bootstrap_is_that_of_scipy() -> None:
    values = [0.01, 0.03, -0.02, 0.05, 0.04, 0.0, 0.02, 0.06]
    interval = bootstrap_interval(values, seed=3)
    assert interval is not None
    assert interval.method == "bca"
    expected = stats.bootstrap((values,), lambda x, axis: x.mean(axis=axis), rng=7)
    for ours, theirs in zip(
        (interval.low, interval.high), expected.confidence_interval, strict=True
    ):
        assert ours == pytest.approx(theirs, abs=0.002)


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1, 0.1], [0.3 - 0.2, 0.1]])
def test_bootstrap_without_spread(values: list[float]) -> None:
    assert bootstrap_interval(values, seed=0) is None


@given(st.lists(st.integers(0, 5).map(lambda n: n / 5), min_size=1, max_size=9))
def test_ranks_sum_up(values: list[float]) -> None:
    places = ranks(values)
    assert sum(places) == pytest.approx(len(values) * (len(values) + 1) / 2)
    for (a, x), (b, y) in itertools.combinations(zip(values, places, strict=True), 2):
        assert (a > b) == (x < y)
        assert (a == b) == (x == y)


def test_mean_ranks() -> None:
    rows = [{"a": 0.9, "b": 0.8, "c": 0.8}, {"a": 0.5, "b": 0.6, "c": 0.1}]
    assert mean_ranks(rows) == {"a": 1.5, "b": 1.75, "c": 2.75}
    assert mean_ranks([]) == {}


def test_agreement_by_hand() -> None:
    found = agreement([[0, 2, 4], [0, 4, 4], [0, 0, 0]])
    assert found is not None
    # Equal: 2 of 3, 1 of 3, 1 of 3 layers. Distances: 2, 6 and 8 over 3 layers.
    assert found.equal == pytest.approx(4 / 9)
    assert found.distance == pytest.approx(16 / 9)
    assert found.correlation == pytest.approx(stats.pearsonr([0, 2, 4], [0, 4, 4]).statistic)
    assert found.pairs == 3


def test_agreement_of_too_little() -> None:
    assert agreement([[1, 2]]) is None
    assert agreement([[], []]) is None
    constant = agreement([[1, 1], [1, 1]])
    assert constant is not None
    assert (constant.equal, constant.distance, constant.correlation) == (1, 0, None)
    with pytest.raises(ValueError, match="the same number of lengths"):
        agreement([[1], [1, 2]])


@given(
    st.lists(
        st.lists(st.integers(-500, 500).map(lambda n: n / 1000), min_size=1, max_size=4),
        min_size=2,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=30)
def test_nested_bootstrap_stays_within_the_values(groups: list[list[float]]) -> None:
    interval = nested_interval(groups, seed=1, resamples=199)
    values = [value for group in groups for value in group]
    if len({round(value, 12) for value in values}) == 1:
        assert interval is None
        return
    assert interval is not None
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12


def test_nested_bootstrap_of_single_values_is_the_plain_one() -> None:
    values = [0.01, 0.03, -0.02, 0.05, 0.04, 0.0, 0.02, 0.06]
    interval = nested_interval([[value] for value in values], seed=3)
    plain = stats.bootstrap((values,), lambda x, axis: x.mean(axis=axis), method="percentile")
    assert interval is not None
    assert interval.low == pytest.approx(plain.confidence_interval.low, abs=0.002)
    assert interval.high == pytest.approx(plain.confidence_interval.high, abs=0.002)


def test_nested_bootstrap_sees_that_values_of_a_group_are_alike() -> None:
    groups = [[each] * 9 for each in (0.0, 0.1, 0.2)]
    nested = nested_interval(groups, seed=1)
    flat = bootstrap_interval([value for group in groups for value in group], seed=1)
    assert nested is not None
    assert flat is not None
    assert nested.high - nested.low > 1.5 * (flat.high - flat.low)


def test_t_test_is_that_of_scipy() -> None:
    values = [0.01, 0.03, -0.02, 0.05]
    assert t_test(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert t_test([0.1]) is None
    assert t_test([0.1, 0.1]) is None
