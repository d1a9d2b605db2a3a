import math

import pytest
import torch
from torch import Tensor

from dpl_nas.config import AlphaSettings, Lagrangian
from dpl_nas.cost import flops_per_vector, image_tower_size
from dpl_nas.space import Space
from dpl_nas.strategy.lagrangian import BudgetLagrangian
from dpl_nas.testing import small_space

VECTOR = flops_per_vector(image_tower_size("mini-clip"))


def even(space: Space) -> dict[str, Tensor]:
    return {
        label: torch.zeros(len(space.towers[tower].lengths), requires_grad=True)
        for label, tower, _ in space.labels()
    }


def test_the_excess_is_the_logarithm_of_the_expected_cost() -> None:
    space = small_space(3)
    # Four layers of 0, 1 or 2 vectors, 1 in the mean, where 3 are allowed.
    excess = BudgetLagrangian(space, 0.1).excess(even(space))
    assert excess.tolist() == pytest.approx([math.log(4 / 3)])
    alphas = {label: torch.tensor([0.0, 0.0, -math.inf]) for label in even(space)}
    found = BudgetLagrangian(space, 0.1).excess(alphas)
    assert found.tolist() == pytest.approx([math.log(2 / 3)])


def test_each_limit_has_its_own() -> None:
    space = Space.model_validate({**small_space(3).model_dump(), "max_flops": 4 * VECTOR})
    lagrangian = BudgetLagrangian(space, 0.5)
    # Only vectors of the image tower take FLOPs: 2 in the mean.
    assert lagrangian.excess(even(space)).tolist() == pytest.approx([math.log(4 / 3), -math.log(2)])
    lagrangian.term(even(space))
    # Where a limit is met, nothing pushes.
    assert lagrangian.multipliers.tolist() == pytest.approx([0.5 * math.log(4 / 3), 0.0])


def test_dual_ascent() -> None:
    space = small_space(3)
    lagrangian = BudgetLagrangian(space, 0.25)
    alphas = even(space)
    excess = math.log(4 / 3)
    assert lagrangian.term(alphas).item() == 0.0
    for step in range(1, 4):
        assert lagrangian.multipliers.tolist() == pytest.approx([step * 0.25 * excess])
        assert lagrangian.term(alphas).item() == pytest.approx(step * 0.25 * excess**2)
    # It falls again, down to 0, once there is room.
    short = {label: torch.tensor([9.0, 0.0, 0.0]) for label in alphas}
    for _ in range(20):
        lagrangian.term(short)
    assert lagrangian.multipliers.tolist() == [0.0]


def test_gradients_are_those_of_the_formula() -> None:
    space = small_space(2)
    generator = torch.Generator().manual_seed(1)
    alphas = {
        label: torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
        for label in even(space)
    }
    lagrangian = BudgetLagrangian(space, 1.0)
    lagrangian.multipliers = torch.tensor([2.0], dtype=torch.float64)

    def formula(*rows: Tensor) -> Tensor:
        lengths = torch.arange(3, dtype=torch.float64)
        expected = sum(((row.softmax(0) * lengths).sum() for row in rows), torch.zeros(()))
        return 2.0 * torch.log(expected / 2)

    term = lagrangian.term(alphas)
    assert term.item() == pytest.approx(formula(*alphas.values()).item(), rel=1e-6)
    found = torch.autograd.grad(term, list(alphas.values()))
    wanted = torch.autograd.grad(formula(*alphas.values()), list(alphas.values()))
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("most", [2, 3])
def test_the_multipliers_bring_the_choice_into_the_budget(most: int) -> None:
    """With the default rates, against a loss that wants all vectors there are."""
    space = small_space(most)
    alphas = even(space)
    lagrangian = BudgetLagrangian(space, Lagrangian().lr)
    settings = AlphaSettings()
    optimizer = torch.optim.Adam(alphas.values(), lr=settings.lr, betas=settings.betas)
    lengths = torch.arange(3.0)
    found = []
    for _ in range(1200):
        expected = torch.stack([(row.softmax(0) * lengths).sum() for row in alphas.values()]).sum()
        loss = -torch.log1p(expected) + lagrangian.term(alphas)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(expected.item())
    # It begins at 4 and would rise to 8; dual ascent swings around what is allowed.
    assert max(found) < 6
    assert min(found) < most
    # What the multiplier is not below, so that the excess is none in the long run.
    excess = sum(math.log(each / most) for each in found)
    assert excess <= lagrangian.multipliers.item() / Lagrangian().lr + 1e-3
    assert lagrangian.multipliers.item() < 3


def test_a_budget_for_nothing_is_finite() -> None:
    space = small_space(0)
    alphas = {label: torch.tensor([60.0, 0.0, 0.0], requires_grad=True) for label in even(space)}
    lagrangian = BudgetLagrangian(space, 0.1)
    for logits in (even(space), alphas):
        term = lagrangian.term(logits)
        term.backward()
        assert math.isfinite(term.item())
        assert all(
            bool(row.grad.isfinite().all()) for row in logits.values() if row.grad is not None
        )
