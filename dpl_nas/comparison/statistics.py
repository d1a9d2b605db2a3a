"""Statistics of a few numbers: means, paired tests, corrections, ranks, agreement.

The functions do not depend on what the numbers stand for.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

__all__ = [
    "Agreement",
    "Estimate",
    "Interval",
    "SignedRank",
    "agreement",
    "bootstrap_interval",
    "estimate",
    "holm",
    "mean_ranks",
    "nested_interval",
    "ranks",
    "signed_rank",
    "t_interval",
    "t_test",
]

#: Decimals: differences such as 0.81 - 0.79 and 0.83 - 0.81 are ties despite rounding errors.
_DIGITS = 12
#: The most pairs for which all 2^n signs are tried if ranks are tied; 8192 of them are quick.
_PERMUTED = 13
#: The most pairs for which scipy has the exact distribution without ties.
_EXACT = 50


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean, in the unit of the numbers."""

    low: float
    high: float
    method: Literal["t", "bca", "percentile"]


@dataclass(frozen=True)
class Estimate:
    """A mean and the half-width of its 95% t interval.

    Attributes
    ----------
    mean
        Mean of the values; ``None`` if there are none.
    half_width
        Half-width of the interval; ``None`` with fewer than two values, whose spread is unknown.
    values
        Values of which the mean is taken.
    """

    mean: float | None
    half_width: float | None
    values: tuple[float, ...]

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.values)


def estimate(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean and t interval: mean +- t(n - 1) * s / sqrt(n), with s of n - 1 degrees of freedom."""
    values = tuple(values)
    if not values:
        return Estimate(None, None, values)
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, None, values)
    from scipy import stats

    quantile = float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    return Estimate(mean, quantile * statistics.stdev(values) / math.sqrt(len(values)), values)


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """The t interval of the mean; ``None`` with fewer than two values, or if all are equal."""
    found = estimate(values, level)
    if found.mean is None or found.half_width is None or _equal(values):
        return None
    return Interval(found.mean - found.half_width, found.mean + found.half_width, "t")


def bootstrap_interval(
    values: Sequence[float], *, seed: int, level: float = 0.95, resamples: int = 9999
) -> Interval | None:
    """Bootstrap interval of the mean: BCa, or percentiles where BCa is not defined.

    Efron, "Better bootstrap confidence intervals", JASA 1987. With few values it is too narrow:
    it never leaves their range.

    Returns
    -------
    Interval or None
        The interval; ``None`` with fewer than two values, or if all are equal: resampling shows
        no spread then.
    """
    if len(values) < 2 or _equal(values):
        return None
    import numpy as np
    from scipy import stats

    resampled = np.random.default_rng(seed)
    found = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=resampled,
    )
    # The acceleration divides by the spread of the jackknifed means, which is not zero here. The
    # bias correction is infinite if all resampled means are on one side of the mean.
    below = np.count_nonzero(found.bootstrap_distribution < np.mean(values))
    if 0 < below < resamples:
        corrected = stats.bootstrap(
            (np.asarray(values, dtype=float),),
            np.mean,
            n_resamples=0,
            bootstrap_result=found,
            confidence_level=level,
            method="BCa",
            rng=resampled,
        ).confidence_interval
        if math.isfinite(corrected.low) and math.isfinite(corrected.high):
            return Interval(float(corrected.low), float(corrected.high), "bca")
    plain = found.confidence_interval
    return Interval(float(plain.low), float(plain.high), "percentile")


def nested_interval(
    groups: Sequence[Sequence[float]], *, seed: int, level: float = 0.95, resamples: int = 9999
) -> Interval | None:
    """Percentile interval of the mean of the groups' means, by the hierarchical bootstrap.

    Groups are drawn with replacement, then the values in each: what holds beyond these groups, such
    as tasks with a few seeds each. With few groups it is too narrow, as all bootstraps are.

    Returns
    -------
    Interval or None
        The interval; ``None`` with fewer than two groups, or if all values are equal.
    """
    groups = [tuple(group) for group in groups if group]
    if len(groups) < 2 or _equal([value for group in groups for value in group]):
        return None
    import numpy as np

    rng = np.random.default_rng(seed)
    count = len(groups)
    # (groups, resamples, groups): for each group as many draws of its values as it may be drawn.
    means = np.stack(
        [
            np.asarray(group)[rng.integers(len(group), size=(resamples, count, len(group)))].mean(2)
            for group in groups
        ]
    )
    drawn = rng.integers(count, size=(resamples, count))
    rows, places = np.arange(resamples)[:, None], np.arange(count)[None]
    resampled = means[drawn, rows, places].mean(axis=1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), "percentile")


def t_test(values: Sequence[float]) -> float | None:
    """The two-sided p of Student's test that the mean is 0; ``None`` if there is no spread."""
    if len(values) < 2 or _equal(values):
        return None
    from scipy import stats

    return float(stats.ttest_1samp(values, 0.0).pvalue)


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired differences, two-sided.

    Attributes
    ----------
    p
        Probability of ranks at least this one-sided if signs are due to chance.
    pairs, zeros
        Number of differences, and how many of them are zero and left out.
    smallest_p
        Smallest possible p: 2 / 2^n for the n differences that are not zero.
    effect
        Rank-biserial correlation: 1 if all differences are positive, -1 if all are negative
        (Kerby, "The simple difference formula", 2014).
    method
        Kind of the test: ``exact``, ``permutation`` (exact with ties), ``asymptotic``, or ``none``
        if all differences are zero.
    """

    p: float
    pairs: int
    zeros: int
    smallest_p: float
    effect: float
    method: Literal["exact", "permutation", "asymptotic", "none"]


def signed_rank(differences: Sequence[float]) -> SignedRank | None:
    """Wilcoxon's test (Wilcoxon, "Individual comparisons by ranking methods", 1945).

    Zeros are left out, as in the paper. The p is exact with up to 50 differences without ties, or
    up to 13 with ties; else it is the normal approximation.

    Returns
    -------
    SignedRank or None
        The test; ``None`` without differences.
    """
    if not differences:
        return None
    rounded = [round(value, _DIGITS) for value in differences]
    left = [value for value in rounded if value != 0]
    zeros = len(rounded) - len(left)
    if not left:
        return SignedRank(1.0, len(rounded), zeros, 1.0, 0.0, "none")
    import numpy as np
    from scipy import stats

    sizes = [abs(value) for value in left]
    tied = len(set(sizes)) < len(sizes)
    method: Literal["exact", "permutation", "asymptotic"]
    if len(left) <= (_PERMUTED if tied else _EXACT):
        method = "permutation" if tied else "exact"
    else:
        method = "asymptotic"
    how = stats.PermutationMethod(n_resamples=np.inf) if method == "permutation" else method
    if how == "asymptotic":
        how = "approx"
    p = min(float(stats.wilcoxon(left, method=how).pvalue), 1.0)
    places = stats.rankdata(sizes)
    signed = sum(math.copysign(rank, value) for rank, value in zip(places, left, strict=True))
    return SignedRank(
        p=p,
        pairs=len(rounded),
        zeros=zeros,
        smallest_p=min(2.0 ** (1 - len(left)), 1.0),
        effect=float(signed / sum(places)),
        method=method,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for several comparisons by Holm's step-down method.

    The k-th smallest of m is multiplied by m - k + 1, never below one before it, at most 1
    (Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min((len(p_values) - place) * p_values[index], 1.0))
        corrected[index] = largest
    return corrected


def ranks(values: Sequence[float]) -> list[float]:
    """Places from 1, the largest value first; ties share the mean of their places."""
    from scipy import stats

    rounded = [-round(value, _DIGITS) for value in values]
    return [float(place) for place in stats.rankdata(rounded)]


def mean_ranks(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean place of each name over rows that all have the same names."""
    if not rows:
        return {}
    names = list(rows[0])
    places = [ranks([row[name] for name in names]) for row in rows]
    return {
        name: statistics.fmean(place[index] for place in places) for index, name in enumerate(names)
    }


@dataclass(frozen=True)
class Agreement:
    """Agreement of the lengths that several seeds found.

    Attributes
    ----------
    equal
        Share of pairs of seeds with equal length, mean over layers.
    distance
        Absolute difference of lengths, mean over layers and pairs of seeds.
    correlation
        Pearson correlation of two seeds' rows, mean over the pairs where neither row is constant;
        ``None`` if there is no such pair.
    pairs
        Number of pairs of seeds.
    """

    equal: float
    distance: float
    correlation: float | None
    pairs: int


def agreement(rows: Sequence[Sequence[int]]) -> Agreement | None:
    """Agreement of lengths, (seeds, layers); ``None`` with fewer than two seeds or no layers.

    Raises
    ------
    ValueError
        If rows differ in their number of layers.
    """
    if len({len(row) for row in rows}) > 1:
        raise ValueError("expected the same number of lengths for each seed")
    if len(rows) < 2 or not rows[0]:
        return None
    pairs = list(combinations(rows, 2))
    layers = len(rows[0])
    equal = [sum(a == b for a, b in zip(*pair, strict=True)) / layers for pair in pairs]
    apart = [sum(abs(a - b) for a, b in zip(*pair, strict=True)) / layers for pair in pairs]
    alike = [
        statistics.correlation(*pair) for pair in pairs if all(len(set(row)) > 1 for row in pair)
    ]
    return Agreement(
        equal=statistics.fmean(equal),
        distance=statistics.fmean(apart),
        correlation=statistics.fmean(alike) if alike else None,
        pairs=len(pairs),
    )


def _equal(values: Sequence[float]) -> bool:
    return len({round(value, _DIGITS) for value in values}) == 1
