import numpy as np
import torch
from torch.nn import functional

from dpl_nas.methods import make_method
from dpl_nas.training.problem import Problem
from tests.methods.conftest import Plain


def test_it_minimises_the_regularised_cross_entropy(problem: Problem, plain: Plain) -> None:
    learned = make_method("linear-probe", inverse_strength=2.0).adapt(problem)
    weights, bias = learned.tensors["weights"].double(), learned.tensors["bias"].double()
    images, labels = torch.from_numpy(plain.images), torch.tensor(plain.labels)

    def loss(slopes: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        sums = functional.cross_entropy(images @ slopes.T + level, labels, reduction="sum")
        return sums + slopes.square().sum() / (2 * 2.0)

    weights.requires_grad_()
    bias.requires_grad_()
    reached = loss(weights, bias)
    reached.backward()  # type: ignore[no-untyped-call]
    assert weights.grad is not None
    assert bias.grad is not None
    assert max(weights.grad.abs().max(), bias.grad.abs().max()) < 1e-2
    assert reached < loss(torch.zeros_like(weights), torch.zeros_like(bias))
    logits = learned.scorer(problem.backbone, problem.task).logits(plain.pixels)
    expected = plain.test @ weights.detach().numpy().T + bias.detach().numpy()
    np.testing.assert_allclose(logits.numpy(), expected, atol=2e-5)
    assert learned.parameters == weights.numel() + 3


def test_two_classes_are_as_sure_as_scikit_learn(problem: Problem, plain: Plain) -> None:
    from sklearn.linear_model import LogisticRegression

    chosen = [
        (row, label)
        for row, label in zip(problem.shot_rows, plain.labels, strict=True)
        if label != 1
    ]
    learned = make_method("linear-probe").adapt(problem, [row for row, _ in chosen])
    shares = (
        learned.scorer(problem.backbone, problem.task).logits(plain.pixels).softmax(dim=1).numpy()
    )
    kept = np.array(plain.labels) != 1
    regression = LogisticRegression(C=0.316, max_iter=1000)
    regression.fit(plain.images[kept], [label for _, label in chosen])
    expected = regression.predict_proba(plain.test)
    np.testing.assert_allclose(shares[:, [0, 2]], expected, atol=1e-4)
    # Nothing is known of the other class.
    assert (shares[:, 1] < 1e-20).all()
