"""Every path of candidate attention against attention over concatenated keys, one by one."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dpl_nas.kernels import CandidateLayout, KernelPath, candidate_attention, fast, portable

PATHS: tuple[KernelPath, ...] = ("fast", "portable", "reference")


def brute_force(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context_k: Tensor,
    context_v: Tensor,
    layout: CandidateLayout,
    weights: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Soft-max over ``[k; k_c]``, token by token, with nothing shared between candidates."""
    outputs = []
    for candidate in range(len(layout.lengths)):
        key, value = context_k[:, layout.rows(candidate)], context_v[:, layout.rows(candidate)]
        batch = q.shape[0]
        all_keys = torch.cat([k, key.expand(batch, -1, -1, -1)], dim=2)
        all_values = torch.cat([v, value.expand(batch, -1, -1, -1)], dim=2)
        scores = torch.einsum("bhqd,bhkd->bhqk", q, all_keys) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores + torch.nn.functional.pad(mask, (0, key.shape[1]))
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
        shared: bool = False,
        mask: bool = False,
        batch: int = 2,
        tokens: int = 5,
        prefix: int = 0,
        alpha: Sequence[float] | None = None,
        scale: float = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        one: bool = False,
        joined: bool = False,
        device: str = "cpu",
    ) -> None:
        g = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64).to(device, dtype)

        heads, width = 3, 4
        self.layout = CandidateLayout(tuple(lengths), shared)
        if joined:
            # As a tower gives them: views of one projection, heads after tokens.
            together = draw(batch, tokens, 3, heads, width) * scale**0.5
            self.q, self.k, self.v = (
                part.transpose(1, 2).detach().requires_grad_() for part in together.unbind(2)
            )
        else:
            self.q = (draw(batch, heads, tokens, width) * scale).requires_grad_()
            self.k = draw(batch, heads, prefix + tokens, width).requires_grad_()
            self.v = draw(batch, heads, prefix + tokens, width).requires_grad_()
        self.context_k = draw(heads, self.layout.total, width).requires_grad_()
        self.context_v = draw(heads, self.layout.total, width).requires_grad_()
        given = None if alpha is None else torch.tensor(alpha, dtype=dtype, device=device)
        self.alpha = draw(len(lengths)) if given is None else given
        self.alpha.requires_grad_()
        self.one = one
        self.mask = None
        if mask:
            self.mask = torch.nn.functional.pad(causal(tokens, dtype), (prefix, 0)).to(device)
        self.cotangent = draw(batch, heads, tokens, width)

    @property
    def leaves(self) -> list[Tensor]:
        return [self.q, self.k, self.v, self.context_k, self.context_v, self.alpha]

    def run(self, attention: Callable[..., Tensor], **options: object) -> list[Tensor]:
        """Output, then the gradients of all leaves."""
        weights = None if self.one else self.alpha.softmax(0)
        inputs = (self.q, self.k, self.v, self.context_k, self.context_v)
        out = attention(*inputs, self.layout, weights, self.mask, **options)
        gradients = torch.autograd.grad(
            (out * self.cotangent).sum(), self.leaves, allow_unused=True, materialize_grads=True
        )
        return [out.detach(), *gradients]


def assert_same(case: Case, tolerance: float, paths: Sequence[KernelPath] = PATHS) -> None:
    expected = case.run(brute_force)
    for path in paths:
        for name, found, wanted in zip(
            ("out", "q", "k", "v", "context_k", "context_v", "alpha"),
            case.run(candidate_attention, path=path),
            expected,
            strict=True,
        ):
            assert torch.isfinite(found).all(), (path, name)
            torch.testing.assert_close(
                found,
                wanted,
                rtol=tolerance,
                atol=tolerance * max(1.0, float(wanted.abs().max())) if wanted.numel() else 0,
                msg=lambda text, at=(path, name): f"{at}: {text}",
            )


LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=7)


@settings(deadline=None, max_examples=80)
@given(
    lengths=LENGTHS,
    shared=st.booleans(),
    mask=st.booleans(),
    batch=st.integers(1, 3),
    tokens=st.integers(1, 8),
    prefix=st.integers(0, 3),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**32),
)
def test_all_paths_equal_the_definition_in_float64(
    lengths: list[int],
    shared: bool,
    mask: bool,
    batch: int,
    tokens: int,
    prefix: int,
    scale: float,
    seed: int,
) -> None:
    case = Case(
        lengths,
        shared=shared,
        mask=mask,
        batch=batch,
        tokens=tokens,
        prefix=prefix,
        scale=scale,
        seed=seed,
    )
    assert_same(case, 1e-10)


@settings(deadline=None, max_examples=30)
@given(
    lengths=LENGTHS,
    shared=st.booleans(),
    batch=st.integers(1, 3),
    tokens=st.integers(33, 70),
    joined=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
def test_torchs_fused_attention_carries_the_gradient_of_its_normaliser(
    lengths: list[int],
    shared: bool,
    batch: int,
    tokens: int,
    joined: bool,
    dtype: torch.dtype,
    seed: int,
) -> None:
    # Many tokens and no mask: what the image tower has.
    case = Case(
        lengths, shared=shared, batch=batch, tokens=tokens, joined=joined, seed=seed, dtype=dtype
    )
    assert_same(case, 1e-10 if dtype == torch.float64 else 2e-5, ("fast",))


@settings(deadline=None, max_examples=20)
@given(lengths=LENGTHS, shared=st.booleans(), mask=st.booleans(), seed=st.integers(0, 2**32))
def test_all_paths_equal_the_definition_in_float32(
    lengths: list[int], shared: bool, mask: bool, seed: int
) -> None:
    case = Case(lengths, shared=shared, mask=mask, seed=seed, dtype=torch.float32)
    assert_same(case, 5e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tokens", [5, 40])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 5e-5)])
def test_all_paths_equal_the_definition_on_a_gpu(
    tokens: int, mask: bool, shared: bool, one: bool, dtype: torch.dtype, near: float
) -> None:
    lengths = [3] if one else [0, 2, 0, 5, 1]
    options = {"mask": mask, "shared": shared, "tokens": tokens, "one": one}
    assert_same(Case(lengths, dtype=dtype, device="cuda", **options), near)
    joined = Case(lengths, dtype=dtype, device="cuda", joined=True, **options)
    assert_same(joined, near)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(0, 6), mask=st.booleans(), prefix=st.integers(0, 3))
def test_one_candidate_needs_no_weights(length: int, mask: bool, prefix: int) -> None:
    assert_same(Case([length], mask=mask, prefix=prefix, one=True), 1e-10)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("tokens", [5, 40])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("alpha", [[0.0, 2000.0, -500.0], [2000.0, 0.0, 0.0]])
def test_a_saturated_alpha_is_finite_and_right(
    mask: bool, tokens: int, dtype: torch.dtype, alpha: list[float]
) -> None:
    # The soft-max of the other candidates underflows to 0.
    case = Case([0, 2, 4], mask=mask, tokens=tokens, alpha=alpha, dtype=dtype)
    assert case.alpha.softmax(0).max() == 1.0
    assert_same(case, 1e-10 if dtype == torch.float64 else 5e-5)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("tokens", [5, 40])
@pytest.mark.parametrize("gap", [-1e4, -100.0, 60.0, 100.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shared", [False, True])
def test_a_score_gap_between_context_and_tokens_is_finite_and_right(
    mask: bool, tokens: int, gap: float, dtype: torch.dtype, shared: bool
) -> None:
    # Keys along the query: the second vector leads, or trails, every token by the gap, so the
    # normaliser of the length 0 is nothing beside the others', or all.
    case = Case([0, 1, 3], shared=shared, mask=mask, tokens=tokens, dtype=dtype)
    with torch.no_grad():
        case.q.fill_(1.0)
        case.k.mul_(0.01)
        case.context_k.mul_(0.01)
        case.context_k[:, 1] = gap / 2
    assert_same(case, 1e-10 if dtype == torch.float64 else 2e-4)


@pytest.mark.parametrize("tokens", [5, 40])
def test_gradients_that_vanish_in_some_rows_or_are_tiny(tokens: int) -> None:
    # float32 squares of 1e-25 are 0: what the fused backward pass divides by.
    case = Case([0, 2], tokens=tokens, dtype=torch.float32)
    with torch.no_grad():
        case.cotangent[0, :, : tokens // 2] = 0
        case.cotangent[1] *= 1e-25
    expected = case.run(brute_force)
    found = case.run(candidate_attention, path="fast")
    for a, b in zip(found, expected, strict=True):
        assert torch.isfinite(a).all()
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5 * float(b.abs().max()))
    # The second image alone, whose gradients are all tiny.
    for a, b in zip(found[1:4], expected[1:4], strict=True):
        torch.testing.assert_close(a[1], b[1], rtol=1e-3, atol=1e-4 * float(b[1].abs().max()))


def test_the_fast_path_is_taken_where_it_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError("the portable path was taken")

    monkeypatch.setattr(portable, "candidate_attention", refuse)
    case = Case([0, 2, 3], tokens=40)
    case.run(candidate_attention, path="fast")
    with torch.no_grad():
        case.context_k[:, 1] = 1e6 * case.q[0, :, 0]
    with pytest.raises(AssertionError, match="portable"):
        case.run(candidate_attention, path="fast")


@pytest.mark.parametrize("path", ["fast", "portable"])
def test_bfloat16_is_near_float32(path: KernelPath) -> None:
    half, full = (Case([0, 2, 4], tokens=9, dtype=dt) for dt in (torch.bfloat16, torch.float32))
    for a, b in zip(
        half.run(candidate_attention, path=path),
        full.run(candidate_attention, path="reference"),
        strict=True,
    ):
        assert a.dtype == torch.bfloat16
        torch.testing.assert_close(a.float(), b, rtol=0.1, atol=0.1 * float(b.abs().max()))


def test_no_graph_is_made_without_gradients() -> None:
    case = Case([0, 2, 4], tokens=40)
    with torch.inference_mode():
        inputs = [leaf.detach() for leaf in case.leaves]
        out = candidate_attention(*inputs[:5], case.layout, inputs[5].softmax(0), None)
    torch.testing.assert_close(out, case.run(brute_force)[0], rtol=1e-10, atol=1e-10)
    # What was made in inference mode is used again with a graph.
    case.run(candidate_attention)


def test_what_does_not_fit_is_refused() -> None:
    case = Case([0, 2])
    inputs = (case.q, case.k, case.v, case.context_k, case.context_v)
    with pytest.raises(ValueError, match="expected 3 candidate lengths, found 2"):
        candidate_attention(*inputs, case.layout, torch.ones(3) / 3, None)
    with pytest.raises(ValueError, match="of 5 context vectors, found 2 and 2"):
        candidate_attention(*inputs, CandidateLayout((5,)), None, None)
    with pytest.raises(ValueError, match="kernel path"):
        candidate_attention(*inputs, case.layout, None, None, path="other")  # type: ignore[arg-type]


def test_fast_applies_to_what_it_was_made_for() -> None:
    q = torch.zeros(1, 1, 1, 4)
    some, none = CandidateLayout((0, 1)), CandidateLayout((0, 0))
    assert fast.applies(q, some)
    assert not fast.applies(q, none)
    assert not fast.applies(q.bfloat16(), some)
    assert not fast.applies(q.to("meta"), some)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fast.applies(q, some)
