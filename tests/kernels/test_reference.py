"""The reference kernel against attention over concatenated keys, one candidate at a time."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dpl_nas.kernels import candidate_attention


def brute_force(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    weights: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Soft-max over ``[k; k_c]``, token by token, with nothing shared between candidates."""
    outputs = []
    for key, value in zip(keys, values, strict=True):
        batch = q.shape[0]
        all_keys = torch.cat([k, key.expand(batch, -1, -1, -1)], dim=2)
        all_values = torch.cat([v, value.expand(batch, -1, -1, -1)], dim=2)
        scores = torch.einsum("bhqd,bhkd->bhqk", q, all_keys) / q.shape[-1] ** 0.5
        if mask is not None:
            free = torch.zeros(len(mask), key.shape[1], dtype=mask.dtype)
            scores = scores + torch.cat([mask, free], dim=1)
        outputs.append(torch.einsum("bhqk,bhkd->bhqd", scores.softmax(-1), all_values))
    stacked = torch.stack(outputs)
    return stacked[0] if weights is None else torch.einsum("c,cbhqd->bhqd", weights, stacked)


def causal(tokens: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.full((tokens, tokens), -torch.inf, dtype=dtype).triu(1)


class Case:
    """Random inputs of :func:`candidate_attention`, all of them leaves."""

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        mask: bool = False,
        tokens: int = 5,
        alpha: Sequence[float] | None = None,
        scale: float = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        g = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

        batch, heads, width = 2, 3, 4
        self.q = (draw(batch, heads, tokens, width) * scale).requires_grad_()
        self.k = draw(batch, heads, tokens, width).requires_grad_()
        self.v = draw(batch, heads, tokens, width).requires_grad_()
        self.keys = [draw(heads, length, width).requires_grad_() for length in lengths]
        self.values = [draw(heads, length, width).requires_grad_() for length in lengths]
        self.alpha = draw(len(lengths)) if alpha is None else torch.tensor(alpha, dtype=dtype)
        self.alpha.requires_grad_()
        self.mask = causal(tokens, dtype) if mask else None
        self.cotangent = draw(batch, heads, tokens, width)

    @property
    def leaves(self) -> list[Tensor]:
        return [self.q, self.k, self.v, *self.keys, *self.values, self.alpha]

    def run(self, attention: object) -> list[Tensor]:
        """Output, then the gradients of all leaves."""
        weights = self.alpha.softmax(0)
        out = attention(self.q, self.k, self.v, self.keys, self.values, weights, self.mask)  # type: ignore[operator]
        gradients = torch.autograd.grad((out * self.cotangent).sum(), self.leaves)
        return [out.detach(), *gradients]


def assert_same(case: Case, tolerance: float) -> None:
    for found, expected in zip(case.run(candidate_attention), case.run(brute_force), strict=True):
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=7),
    mask=st.booleans(),
    tokens=st.integers(1, 8),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**32),
)
def test_equals_the_definition_in_float64(
    lengths: list[int], mask: bool, tokens: int, scale: float, seed: int
) -> None:
    assert_same(Case(lengths, mask=mask, tokens=tokens, scale=scale, seed=seed), 1e-10)


@settings(deadline=None, max_examples=20)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=7),
    mask=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_equals_the_definition_in_float32(lengths: list[int], mask: bool, seed: int) -> None:
    assert_same(Case(lengths, mask=mask, seed=seed, dtype=torch.float32), 5e-5)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_saturated_alpha_is_finite_and_right(mask: bool, dtype: torch.dtype) -> None:
    # The soft-max of the other candidates underflows to 0.
    case = Case([0, 2, 4], mask=mask, alpha=[0.0, 2000.0, -500.0], dtype=dtype)
    assert case.alpha.softmax(0).tolist() == [0.0, 1.0, 0.0]
    assert_same(case, 1e-10 if dtype == torch.float64 else 5e-5)


@pytest.mark.parametrize("winner", ["tokens", "contexts"])
@pytest.mark.parametrize("mask", [False, True])
# Scores of 1e4 have a last digit of 1e-3 in float32, whichever way they are computed.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-2)])
def test_score_gaps_of_ten_thousand(
    winner: str, mask: bool, dtype: torch.dtype, tolerance: float
) -> None:
    case = Case([0, 1, 3], mask=mask, dtype=dtype)
    with torch.no_grad():
        # All scores of one side are 1e4 (divided by sqrt(4), times 2) above the other side's.
        case.q[..., 0] = 1e4
        case.k[..., 0] = 1.0 if winner == "tokens" else -1.0
        for key in case.keys:
            key[..., 0] = -1.0 if winner == "tokens" else 1.0
    for found, expected in zip(case.run(candidate_attention), case.run(brute_force), strict=True):
        assert torch.isfinite(found).all()
        size = float(expected.abs().amax()) if expected.numel() else 0.0
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * (1e-3 + size))


def test_large_scores_keep_their_digits() -> None:
    # Exact in float32: tokens score 4096 and 4097, the context 4096.
    one = torch.ones(1, 1, 1, 1)
    k = torch.tensor([4096.0, 4097.0]).view(1, 1, 2, 1)
    key = torch.tensor([4096.0]).view(1, 1, 1)
    v = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1)
    value = torch.tensor([2.0]).view(1, 1, 1)
    out = candidate_attention(one, k, v, [key], [value], None, None)
    e = torch.e
    assert out.item() == pytest.approx((e + 2) / (2 + e), rel=1e-6)
    value = torch.tensor([5.0]).view(1, 1, 1)
    out = candidate_attention(one, k, v, [key], [value], None, None)
    assert out.item() == pytest.approx((e + 5) / (2 + e), rel=1e-6)


def test_the_empty_context_is_plain_attention() -> None:
    case = Case([0], mask=True)
    plain = torch.nn.functional.scaled_dot_product_attention(case.q, case.k, case.v, case.mask)
    out = candidate_attention(case.q, case.k, case.v, case.keys, case.values, None, case.mask)
    torch.testing.assert_close(out, plain, rtol=1e-12, atol=1e-12)


def test_without_weights_the_only_candidate_counts_in_full() -> None:
    case = Case([3])
    single = candidate_attention(case.q, case.k, case.v, case.keys, case.values, None, None)
    weighed = candidate_attention(
        case.q, case.k, case.v, case.keys, case.values, torch.ones(1, dtype=torch.float64), None
    )
    torch.testing.assert_close(single, weighed, rtol=0, atol=0)


def test_gradients_by_finite_differences() -> None:
    case = Case([0, 2], mask=True, tokens=3)

    def function(*leaves: Tensor) -> Tensor:
        q, k, v, key0, key1, value0, value1, alpha = leaves
        return candidate_attention(
            q, k, v, [key0, key1], [value0, value1], alpha.softmax(0), case.mask
        )

    assert torch.autograd.gradcheck(function, case.leaves)


def test_bfloat16_stays_near_float32() -> None:
    case = Case([0, 2, 4], dtype=torch.float32)
    q, k, v = (t.detach().bfloat16() for t in (case.q, case.k, case.v))
    keys = [t.detach().bfloat16() for t in case.keys]
    values = [t.detach().bfloat16() for t in case.values]
    weights = case.alpha.softmax(0)
    exact = brute_force(case.q, case.k, case.v, case.keys, case.values, weights, None)
    out = candidate_attention(q, k, v, keys, values, weights, None)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), exact.detach(), rtol=0.05, atol=0.05)


def test_mismatched_candidates_are_refused() -> None:
    case = Case([1, 2])
    q, k, v = case.q, case.k, case.v
    with pytest.raises(ValueError, match="expected keys and values of 1 candidates, found 2"):
        candidate_attention(q, k, v, case.keys, case.values, None, None)
    with pytest.raises(ValueError, match="found 2 and 1"):
        candidate_attention(q, k, v, case.keys, case.values[:1], torch.ones(2) / 2, None)
    with pytest.raises(ValueError, match="found 0 and 0"):
        candidate_attention(q, k, v, [], [], None, None)


def test_an_unknown_path_is_refused() -> None:
    case = Case([1])
    with pytest.raises(ValueError, match="expected the kernel path 'reference', found 'quick'"):
        candidate_attention(
            case.q,
            case.k,
            case.v,
            case.keys,
            case.values,
            None,
            None,
            path="quick",  # type: ignore[arg-type]
        )
