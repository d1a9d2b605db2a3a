"""Saliency against a plain computation, and vectors that come and go."""

import pytest
import torch
from torch.nn import functional

from dpl_nas.config import AdaptSettings
from dpl_nas.engine import Cost, TrialEngine, TrialSettings
from dpl_nas.errors import ConfigError
from dpl_nas.observer import Observer
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.salient import SalientContext, SalientSupernet
from dpl_nas.testing import Bench, small_space
from dpl_nas.training.problem import Problem


def test_saliency_by_hand() -> None:
    """The loss is a . v1 + (b . v2)^2; saliencies add up over two steps."""
    context = SalientContext(2, 3)
    first, second = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, 2.0])
    expected_sum, expected_abs = torch.zeros(2), torch.zeros(2)
    for step in range(2):
        v1, v2 = torch.tensor([[0.3, 0.2, 1.0], [1.0, 0.0, -1.0]]) * (1 - 3 * step)
        with torch.no_grad():
            context.vectors.copy_(torch.stack([v1, v2]))
        context.vectors.grad = None
        rows = context().vectors
        (first @ rows[0] + (second @ rows[1]) ** 2).backward()
        context.note()
        gradients = torch.stack([first, 2 * (second @ v2) * second])
        change = (torch.stack([v1, v2]) * gradients).sum(dim=1)
        expected_sum += change
        expected_abs += change.abs()
    torch.testing.assert_close(context.saliency, expected_abs)
    torch.testing.assert_close(context.idleness, expected_sum)
    assert not torch.equal(expected_sum, expected_abs)
    context.forget()
    assert not context.saliency.any()
    assert not context.idleness.any()


def test_what_is_dropped_and_added() -> None:
    context = SalientContext(4, 2)
    with torch.no_grad():
        context.vectors.copy_(torch.arange(8.0).view(4, 2))
    importance = torch.tensor([3.0, 1.0, 2.0, 1.0])
    context.drop(1, importance)
    assert context.used.tolist() == [True, True, True, False]
    context.drop(1, importance)
    assert context.used.tolist() == [True, False, True, False]
    assert context().layout.lengths == (2,)
    assert context().vectors.tolist() == [[0.0, 1.0], [4.0, 5.0]]
    # A vector that is not in use is neither dropped again nor noted.
    context().vectors.sum().backward()
    context.note()
    assert context.saliency[1] == context.saliency[3] == 0
    context.drop(2, importance)
    assert context().empty
    context.add(1)
    assert context.used.tolist() == [True, False, False, False]
    assert context().vectors.abs().max() < 0.01
    assert context.most_idle(1) == context.idleness[0]


def supernet_of(bench: Bench, engine: TrialEngine, problem: Problem) -> SalientSupernet:
    search = Search(problem, "accuracy", engine, None, Observer())
    # One batch an epoch.
    settings = AdaptSettings(
        epochs=2, batch_size=99, prompts={"name": "sgd", "lr": 0.1, "momentum": 0.0}
    )
    return SalientSupernet(search, Supernet(search, settings), settings, lambda _: Cost(1, 4))


def test_an_epoch_is_a_plain_step(bench: Bench) -> None:
    """One step of the supernet, and its saliencies, against autograd on the plain loss."""
    problem = Problem.of(small_space(), bench.task, shots=4, backbone=bench.backbone)
    with TrialEngine(TrialSettings(problem), None) as engine:
        model = supernet_of(bench, engine, problem)
        images = model._supernet.training
        pixels, labels = images.batch(range(len(images)), seed=0)
        vectors = [context.vectors for context in model.contexts.values()]
        logits = model.clip(pixels, model._supernet.text)
        gradients = torch.autograd.grad(functional.cross_entropy(logits, labels), vectors)
        expected = [(v.detach() * g).sum(dim=1) for v, g in zip(vectors, gradients, strict=True)]
        moved = [v.detach() - 0.1 * g for v, g in zip(vectors, gradients, strict=True)]
        told = []
        # After the first epoch nothing is left to train.
        model.train(lambda done: told.append(done) or _drop_all(model))
        assert told == [1]
        assert model.done == 1
        for context, change, vector in zip(model.contexts.values(), expected, moved, strict=True):
            assert float(change.abs().max()) > 1e-6
            torch.testing.assert_close(context.idleness, change, rtol=1e-3, atol=1e-7)
            torch.testing.assert_close(context.saliency, change.abs(), rtol=1e-3, atol=1e-7)
            torch.testing.assert_close(context.vectors.detach(), vector, rtol=1e-4, atol=1e-6)
        assert engine.spent.steps == 1


def _drop_all(model: SalientSupernet) -> None:
    for context in model.contexts.values():
        context.drop(context.count, context.saliency)


def test_numbers_that_are_not_finite_are_refused(bench: Bench) -> None:
    problem = Problem.of(small_space(), bench.task, shots=4, backbone=bench.backbone)
    with TrialEngine(TrialSettings(problem), None) as engine:
        model = supernet_of(bench, engine, problem)
        with torch.no_grad():
            model.contexts["image/0"].vectors.fill_(float("nan"))
        with pytest.raises(ConfigError, match=r"lower search\.prompts\.lr"):
            model.train(lambda _: None)
        assert engine.spent.steps == 0
