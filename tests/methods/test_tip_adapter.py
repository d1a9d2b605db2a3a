import numpy as np
import torch
from torch.nn import functional

from dpl_nas.methods import make_method
from dpl_nas.methods.features import Views
from dpl_nas.training.problem import Problem
from tests.methods.conftest import Array, Plain, unit


def by_hand(plain: Plain, keys: Array, weight: float, sharpness: float) -> Array:
    images = unit(plain.test)
    cached = np.exp(-sharpness * (1 - images @ keys.T)) @ plain.one_hot
    return np.asarray(plain.scale * images @ plain.captions.T + weight * cached)


def test_the_cache_adds_to_the_captions(problem: Problem, plain: Plain) -> None:
    learned = make_method("tip-adapter", weight=3.0, sharpness=2.0).adapt(problem)
    found = learned.scorer(problem.backbone, problem.task).logits(plain.pixels)
    # The task has no augmentation, so all views are the same.
    expected = by_hand(plain, plain.unit, 3.0, 2.0)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    assert learned.parameters == 0
    assert make_method("tip-adapter").model_dump() == {
        "captions": "one",
        "weight": 1.0,
        "sharpness": 5.5,
        "views": 10,
    }


def test_keys_are_the_means_of_augmented_views(problem: Problem) -> None:
    recipe = problem.recipe.model_copy(update={"augmentation": "crop"})
    problem = problem.having(recipe=recipe)
    two = make_method("tip-adapter", views=2).adapt(problem).tensors["keys"]
    one = make_method("tip-adapter", views=1).adapt(problem).tensors["keys"]
    assert (two - one).abs().max() > 1e-4
    torch.testing.assert_close(two.norm(dim=1), torch.ones(len(two)))
    again = make_method("tip-adapter", views=2).adapt(problem).tensors["keys"]
    assert torch.equal(two, again)


def test_a_step_of_the_keys_by_hand(problem: Problem, plain: Plain) -> None:
    method = make_method("tip-adapter-f", epochs=1, lr=0.01)
    learned = method.adapt(problem)
    keys = torch.from_numpy(plain.unit).requires_grad_()
    images, text = torch.from_numpy(plain.unit), torch.from_numpy(plain.captions)
    cached = torch.exp(-5.5 * (1 - images @ keys.T)) @ torch.from_numpy(plain.one_hot)
    logits = plain.scale * images @ text.T + cached
    functional.cross_entropy(logits, torch.tensor(plain.labels)).backward()  # type: ignore[no-untyped-call]
    assert keys.grad is not None
    # AdamW's first step: the gradient over its size, and a weight decay of 0.01.
    moved = keys.detach() * (1 - 0.01 * 0.01) - 0.01 * keys.grad / (keys.grad.abs() + 1e-4)
    torch.testing.assert_close(learned.tensors["keys"].double(), moved, atol=2e-5, rtol=0)
    found = learned.scorer(problem.backbone, problem.task).logits(plain.pixels)
    np.testing.assert_allclose(found.numpy(), by_hand(plain, moved.numpy(), 1.0, 5.5), atol=2e-4)
    assert learned.parameters == keys.numel()


def test_training_lowers_the_loss(problem: Problem, plain: Plain) -> None:
    labels = torch.tensor(plain.labels)
    views = Views(problem, problem.shot_rows).features(0)
    losses = []
    for epochs in (1, 20):
        method = make_method("tip-adapter-f", epochs=epochs)
        tensors = method.adapt(problem).tensors
        text = torch.from_numpy(plain.captions).float()
        scores = method.score(tensors, views, text, plain.scale)  # type: ignore[attr-defined]
        losses.append(float(functional.cross_entropy(scores, labels)))
    assert losses[1] < losses[0]
