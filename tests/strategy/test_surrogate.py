"""The Gaussian process of scores: its definition, and what it chooses."""

import math
from random import Random

import pytest
import torch

from dpl_nas.space import Architecture, load_space
from dpl_nas.space.fitting import distinct_sample, portfolio
from dpl_nas.strategy.surrogate import Surrogate, placement

SPACE = load_space("mini_clip_budget12")


def one_vector(tower: str, layer: int) -> Architecture:
    return SPACE.architecture(
        {label: int(label == f"{tower}/{layer}") for label, _, _ in SPACE.labels()}
    )


def score(architecture: Architecture) -> float:
    """Early vectors of the text tower are good, more of them less and less so."""
    return sum(
        math.sqrt(length) / (1 + layer) for layer, length in enumerate(architecture.lengths["text"])
    )


def drawn(count: int, seed: int = 1) -> list[Architecture]:
    return distinct_sample(SPACE, Random(seed), count)


def test_a_move_by_one_layer_is_small_and_the_other_tower_is_far() -> None:
    rows = placement([one_vector("text", 3), one_vector("text", 4), one_vector("text", 11)])
    near, far = (rows[0] - rows[1]).norm(), (rows[0] - rows[2]).norm()
    assert near < far
    image = placement([one_vector("text", 3), one_vector("image", 3)])
    assert (image[0] - image[1]).norm() > near
    assert rows.shape == (3, 2 * 24)


def test_the_mean_and_variance_are_those_of_the_definition() -> None:
    known, others = drawn(12), drawn(5, seed=2)
    process = Surrogate.fit(known, [score(each) for each in known])
    a, b = placement(known), placement(others)

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        squared = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
        return (1 - process.noise) * torch.exp(-squared / (2 * process.squared_scale))

    inverse = torch.linalg.inv(kernel(a, a) + process.noise * torch.eye(12, dtype=a.dtype))
    mean, variance = process.posterior(b)
    torch.testing.assert_close(mean, kernel(b, a) @ inverse @ process.values, atol=1e-6, rtol=0)
    expected = (kernel(b, b) - kernel(b, a) @ inverse @ kernel(a, b)).diagonal()
    torch.testing.assert_close(variance, expected, atol=1e-6, rtol=0)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(12, dtype=a.dtype), torch.linalg.inv(inverse)
    )
    constant = 6 * math.log(2 * math.pi)
    assert process.log_likelihood == pytest.approx(
        float(normal.log_prob(process.values)) + constant, abs=1e-4
    )


def test_the_expected_improvement_is_the_integral() -> None:
    known, others = drawn(12), drawn(4, seed=3)
    scores = [score(each) for each in known]
    process = Surrogate.fit(known, scores)
    best = process.posterior(process.known)[0].max()
    mean, variance = process.posterior(placement(others))
    draws = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0), dtype=mean.dtype)
    above = (mean + variance.sqrt() * draws - best).clamp_min(0).mean(dim=0) * process.sd
    torch.testing.assert_close(
        process.expected_improvement(others), above, atol=5e-3 * process.sd, rtol=0.03
    )


def test_what_it_chooses_is_better_than_chance() -> None:
    """Of candidates that it has not seen, with noise on what it has."""
    rng = Random(0)
    known = [*list(portfolio(SPACE).values())[:9], *drawn(12)]
    process = Surrogate.fit(known, [score(each) + rng.gauss(0, 0.1) for each in known])
    candidates = drawn(200, seed=5)
    chosen = process.batch(candidates, 8)
    assert len(set(chosen)) == 8
    mean = sum(map(score, candidates)) / 200
    assert sum(map(score, chosen)) / 8 > mean + 0.3
    # The first is the most promising; the others are not just those next to it.
    promise = process.expected_improvement(candidates)
    assert chosen[0] == candidates[int(promise.argmax())]
    by_promise = [candidates[at] for at in promise.argsort(descending=True)[:8].tolist()]
    assert chosen != by_promise


def test_there_may_be_fewer_candidates_and_equal_scores() -> None:
    known = drawn(4)
    process = Surrogate.fit(known, [0.5] * 4)
    others = drawn(3, seed=9)
    assert sorted(process.batch(others, 8), key=str) == sorted(others, key=str)
