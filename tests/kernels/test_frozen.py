"""Layers with frozen weights against torch's own, with their gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dpl_nas.kernels import frozen, frozen_linear, frozen_mlp

QUICK = 1.702


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)


def assert_same(found: Tensor, expected: Tensor, leaves: list[Tensor], tolerance: float) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    cotangent = draw(*found.shape, seed=9).to(found.dtype)
    for a, b in zip(
        torch.autograd.grad(found, leaves, cotangent),
        torch.autograd.grad(expected, leaves, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("small", [True, False])
def test_linear(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, bias: bool, residual: bool, small: bool
) -> None:
    monkeypatch.setattr(frozen, "_SMALL", 1 << 40 if small else 0)
    x = draw(3, 5, 8, dtype=dtype).requires_grad_()
    weight, shift = draw(7, 8, seed=1, dtype=dtype), draw(7, seed=2, dtype=dtype)
    past = draw(3, 5, 7, seed=3, dtype=dtype).requires_grad_()
    found = frozen_linear(x, weight, shift if bias else None, past if residual else None)
    expected = functional.linear(x, weight, shift if bias else None)
    expected = expected + past if residual else expected
    leaves = [x, past] if residual else [x]
    assert_same(found, expected, leaves, 1e-12 if dtype == torch.float64 else 1e-5)


def test_weights_with_gaps_are_left_to_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of GPT-2's transposed weights took a thousand times as long by oneDNN."""
    taken: list[tuple[int, ...]] = []

    def noted(x: Tensor, weight: Tensor, bias: Tensor | None, *rest: object) -> Tensor:
        taken.append(tuple(weight.shape))
        return functional.linear(x, weight, bias)

    monkeypatch.setattr(frozen, "_SMALL", 0)
    monkeypatch.setattr(frozen, "_ONEDNN", noted)
    x = draw(3, 8, dtype=torch.float32).requires_grad_()
    transposed = draw(8, 7, seed=1, dtype=torch.float32).T
    for weight in (transposed, transposed[2:], transposed.contiguous()[2:]):
        assert_same(frozen_linear(x, weight, None), functional.linear(x, weight), [x], 1e-5)
    assert taken == [(7, 8), (8, 7), (5, 8), (8, 5)]


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(0, 9),
    at_once=st.integers(1, 4),
    quick=st.booleans(),
    residual=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
def test_mlp(
    rows: int, at_once: int, quick: bool, residual: bool, dtype: torch.dtype, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "_ROWS", at_once)
        patch.setattr(frozen, "_SMALL", 0)
        x = draw(rows, 4, seed=seed, dtype=dtype).requires_grad_()
        w1, b1 = draw(6, 4, seed=1, dtype=dtype), draw(6, seed=2, dtype=dtype)
        w2, b2 = draw(5, 6, seed=3, dtype=dtype), draw(5, seed=4, dtype=dtype)
        past = draw(rows, 5, seed=5, dtype=dtype).requires_grad_()
        scale = QUICK if quick else 1.0
        found = frozen_mlp(
            x * scale,
            w1,
            b1 * scale,
            w2,
            b2,
            "silu" if quick else "gelu",
            scale,
            past if residual else None,
        )
        units = functional.linear(x, w1, b1)
        active = units * torch.sigmoid(QUICK * units) if quick else functional.gelu(units)
        expected = functional.linear(active, w2, b2)
        expected = expected + past if residual else expected
        leaves = [x, past] if residual else [x]
        assert_same(found, expected, leaves, 1e-12 if dtype == torch.float64 else 2e-5)


def test_nothing_is_kept_of_what_has_no_gradient() -> None:
    x, weight = draw(3, 8), draw(7, 8)
    assert not frozen_linear(x, weight, None).requires_grad
    past = draw(3, 7).requires_grad_()
    (gradient,) = torch.autograd.grad(frozen_linear(x, weight, None, past).sum(), past)
    assert torch.equal(gradient, torch.ones(3, 7, dtype=torch.float64))
