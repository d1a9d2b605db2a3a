import copy

import pytest
import torch

from dpl_nas.config import InitSettings
from dpl_nas.kernels import CandidateLayout
from dpl_nas.prompted import (
    Context,
    ContextCandidates,
    ContextMixture,
    NestedContext,
    initialise,
    mix,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_context_has_one_parameter() -> None:
    context = Context(3, 8)
    assert {name: tuple(p.shape) for name, p in context.named_parameters()} == {"vectors": (3, 8)}
    mixture = context()
    assert mixture.vectors is context.vectors
    assert mixture.weights is None
    assert not mixture.empty


def test_length_zero_has_no_parameter_and_no_state() -> None:
    context = Context(0, 8)
    assert not list(context.parameters())
    assert not context.state_dict()
    assert context().empty
    assert context().candidates[0].shape == (0, 8)
    assert context.to(torch.float64)().candidates[0].dtype == torch.float64


def test_separate_candidates_have_vectors_of_their_own() -> None:
    candidates = ContextCandidates.separate([0, 2, 4], 8)
    assert sum(p.numel() for p in candidates.parameters()) == 3 + (2 + 4) * 8
    mixture = candidates()
    assert [len(c) for c in mixture.candidates] == [0, 2, 4]
    assert mixture.weights is not None
    torch.testing.assert_close(mixture.weights, torch.full((3,), 1 / 3))


def test_nested_candidates_share_rows() -> None:
    candidates = ContextCandidates.nested([0, 2, 4], 8)
    assert [name for name, _ in candidates.named_parameters()] == [
        "alpha",
        "candidates.0.vectors",
    ]
    initialise(candidates, InitSettings(), generator())
    empty, short, long = candidates().candidates
    assert len(empty) == 0
    torch.testing.assert_close(short, long[:2], rtol=0, atol=0)
    copied = copy.deepcopy(candidates)
    with torch.no_grad():
        copied().candidates[2][0] = 7.0
    assert (copied().candidates[1][0] == 7.0).all()
    assert not (candidates().candidates[1][0] == 7.0).any()


def test_nested_length_must_fit() -> None:
    with pytest.raises(ValueError, match="expected a length of 0 to 2, found 3"):
        NestedContext(torch.nn.Parameter(torch.zeros(2, 4)), 3)


def test_weights_follow_alpha() -> None:
    candidates = ContextCandidates.separate([0, 1], 4)
    candidates.alpha.data.copy_(torch.tensor([0.0, 1e4]))
    weights = candidates().weights
    assert weights is not None
    assert weights.tolist() == [0.0, 1.0]
    weights[1].backward()
    assert torch.isfinite(candidates.alpha.grad).all()  # type: ignore[arg-type]


def test_normal_and_uniform_starts() -> None:
    context = Context(500, 20)
    initialise(context, InitSettings(distribution="normal", scale=0.02), generator())
    assert context.vectors.std().item() == pytest.approx(0.02, rel=0.05)
    assert abs(context.vectors.mean().item()) < 1e-3
    initialise(context, InitSettings(distribution="uniform", scale=1.0), generator())
    assert context.vectors.min() >= 0
    assert context.vectors.max() < 1
    assert context.vectors.mean().item() == pytest.approx(0.5, abs=0.02)


def test_the_start_depends_on_the_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, second = (
        ContextCandidates.separate([0, 2, 3], 8),
        ContextCandidates.separate([0, 2, 3], 8),
    )
    initialise(first, InitSettings(), generator(1))
    initialise(second, InitSettings(), generator(1))
    for a, b in zip(first().candidates, second().candidates, strict=True):
        assert torch.equal(a, b)
    assert (first.alpha == 0).all()
    initialise(second, InitSettings(), generator(2))
    assert not torch.equal(first().candidates[1], second().candidates[1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_mixture_is_empty_only_without_any_vector() -> None:
    halves = torch.ones(2) / 2
    assert ContextMixture(torch.zeros(0, 4), CandidateLayout((0, 0)), halves).empty
    assert not ContextMixture(torch.zeros(1, 4), CandidateLayout((0, 1)), halves).empty


def test_a_shared_parameter_is_held_once_and_mixed_kinds_side_by_side() -> None:
    vectors = torch.nn.Parameter(torch.randn(5, 4))
    nested = [NestedContext(vectors, length) for length in (1, 3)]
    mixture = mix(nested, torch.ones(2) / 2)
    assert mixture.layout == CandidateLayout((1, 3), shared=True)
    assert torch.equal(mixture.vectors, vectors[:3])
    mixture = mix([*nested, Context(2, 4)], torch.ones(3) / 3)
    assert mixture.layout == CandidateLayout((1, 3, 2))
    assert [len(each) for each in mixture.candidates] == [1, 3, 2]
