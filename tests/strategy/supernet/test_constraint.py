import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from dpl_nas.space import Space
from dpl_nas.space.flops import flops_per_vector, image_tower_size
from dpl_nas.strategy.supernet.constraint import ExpectedCost
from dpl_nas.testing import small_space

VECTOR = flops_per_vector(image_tower_size("mini-clip"))


def with_flops(most: int, flops: float) -> Space:
    return Space.model_validate({**small_space(most).model_dump(), "max_flops": flops * VECTOR})


def drawn(space: Space, seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        label: (
            scale
            * torch.randn(
                len(space.towers[tower].lengths), generator=generator, dtype=torch.float64
            )
        ).requires_grad_()
        for label, tower, _ in space.labels()
    }


def held(space: Space, alphas: dict[str, Tensor], slack: float = 0.0) -> dict[str, Tensor]:
    """The weights."""
    tilts = ExpectedCost(space).tilts(alphas, slack)
    return {label: (alphas[label] - tilts[label]).softmax(-1) for label in alphas}


def shares(space: Space, weights: dict[str, Tensor]) -> list[float]:
    """The expected cost by each limit, as a share of what it allows."""
    found = []
    for limit in space.limits:
        total = 0.0
        for label, tower, _ in space.labels():
            lengths = torch.tensor(space.towers[tower].lengths, dtype=torch.float64)
            total += limit.per_vector[tower] * float((weights[label].detach() * lengths).sum())
        found.append(total / limit.most)
    return found


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 7), st.floats(0.5, 4), st.floats(0, 12))
# Two limits that are nearly the same.
@example(11, 2, 0.96875, 5.0)
# The same, and alphas that leave nothing to move.
@example(37, 1, 0.99, 10.007280026940343)
@example(58, 3, 1.9375, 10.100634050331303)
def test_limits_hold_and_bind_only_where_they_would_not(
    seed: int, most: int, flops: float, scale: float
) -> None:
    space = with_flops(most, flops)
    alphas = drawn(space, seed, scale)
    free = shares(space, {label: each.softmax(-1) for label, each in alphas.items()})
    found = shares(space, held(space, alphas))
    assert max(found) <= 1 + 1e-6
    if max(free) <= 1:
        assert found == pytest.approx(free, abs=1e-12)
    else:
        assert max(found) == pytest.approx(1, abs=1e-6)


def test_it_is_the_closest_distribution() -> None:
    """Against a general optimizer on the definition: the divergence, under the same limits."""
    space = with_flops(3, 1.0)
    alphas = drawn(space, 5)
    logits = torch.stack(list(alphas.values())).detach()
    target = logits.log_softmax(-1)

    def weights_of(x: object) -> dict[str, Tensor]:
        rows = torch.tensor(x, dtype=torch.float64).reshape(logits.shape).softmax(-1)
        return dict(zip(alphas, rows, strict=True))

    def divergence(x: object) -> float:
        rows = torch.stack(list(weights_of(x).values()))
        return float((rows * (rows.log() - target)).sum())

    best = minimize(
        divergence,
        logits.flatten().numpy(),
        method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda x, i=i: 1 - shares(space, weights_of(x))[i]}
            for i in range(2)
        ],
        options={"maxiter": 500, "ftol": 1e-12},
    )
    found = held(space, alphas)
    assert shares(space, weights_of(best.x)) == pytest.approx([1, 1], abs=1e-4)
    for label, weights in weights_of(best.x).items():
        assert torch.allclose(found[label], weights, atol=1e-4)


@pytest.mark.parametrize("flops", [0.7, 100.0])
def test_gradients_go_through_the_multipliers(flops: float) -> None:
    """With two limits that bind, and with one that does not."""
    space = with_flops(2, flops)
    alphas = drawn(space, 3)
    lengths = torch.arange(3, dtype=torch.float64)

    def values(*rows: Tensor) -> Tensor:
        weights = held(space, dict(zip(alphas, rows, strict=True)))
        return torch.stack([(each * (lengths - 1) ** 3).sum() for each in weights.values()])

    assert torch.autograd.gradcheck(values, list(alphas.values()), eps=1e-6, atol=1e-6)


def test_alphas_cannot_buy_more_than_the_limits() -> None:
    """A loss that wants vectors and nothing else has no gradient, where it would run away."""
    space = small_space(3)
    alphas = drawn(space, 1)
    lengths = torch.arange(3, dtype=torch.float64)
    expected = torch.stack([(each * lengths).sum() for each in held(space, alphas).values()]).sum()
    assert expected.item() == pytest.approx(3)
    for gradient in torch.autograd.grad(expected, list(alphas.values())):
        assert gradient.abs().max() < 1e-9


def test_slack_falls_from_equal_alphas_to_the_limits() -> None:
    space = small_space(2)
    alphas = {label: torch.zeros(3) for label, _, _ in space.labels()}
    # Four layers of 0, 1 or 2 vectors: 4 in the mean, twice what is allowed.
    assert ExpectedCost(space).at_first().tolist() == pytest.approx([2])
    for slack, share in ((1.0, 2.0), (0.5, math.sqrt(2)), (0.0, 1.0)):
        assert shares(space, held(space, alphas, slack)) == pytest.approx([share])


@pytest.mark.parametrize("most", [0, 3])
def test_decided_alphas_and_no_limits_at_all_are_finite(most: int) -> None:
    space = small_space(most)
    for scale in (0.0, 1.0, 300.0):
        alphas = {
            label: each.detach().float().requires_grad_()
            for label, each in drawn(space, 2, scale).items()
        }
        weights = held(space, alphas)
        sum((each**2).sum() for each in weights.values()).backward()  # type: ignore[union-attr]
        assert all(bool(each.isfinite().all()) for each in weights.values())
        assert all(
            bool(each.grad.isfinite().all()) for each in alphas.values() if each.grad is not None
        )


def test_a_space_without_a_limit_is_left_alone() -> None:
    space = Space.model_validate({**small_space(3).model_dump(), "max_context_vectors": None})
    alphas = drawn(space, 1)
    tilts = ExpectedCost(space).tilts(alphas)
    assert all(not each.any() for each in tilts.values())
