import numpy as np

from dpl_nas.methods import make_method
from dpl_nas.training.problem import Problem
from tests.methods.conftest import Plain, unit


def test_the_logits_are_cosines_to_the_means(problem: Problem, plain: Plain) -> None:
    learned = make_method("class-means").adapt(problem)
    labels = np.array(plain.labels)
    means = unit(np.stack([plain.unit[labels == each].mean(axis=0) for each in range(3)]))
    expected = plain.scale * unit(plain.test) @ means.T
    found = learned.scorer(problem.backbone, problem.task).logits(plain.pixels)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    assert learned.parameters == means.size


def test_a_class_without_images_is_no_answer_for_the_others(problem: Problem, plain: Plain) -> None:
    rows = [row for row, label in zip(problem.shot_rows, plain.labels, strict=True) if label != 1]
    learned = make_method("class-means").adapt(problem, rows)
    logits = learned.scorer(problem.backbone, problem.task).logits(plain.pixels)
    assert (logits[:, 1] == 0).all()
