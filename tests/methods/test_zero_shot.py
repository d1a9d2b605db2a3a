import numpy as np
import pytest

from dpl_nas.methods import make_method
from dpl_nas.training.evaluation import zero_shot
from dpl_nas.training.problem import Problem
from dpl_nas.training.teacher import ZeroShotTeacher
from tests.methods.conftest import Plain, unit


def test_the_logits_are_scaled_cosines(problem: Problem, plain: Plain) -> None:
    scorer = make_method("zero-shot").adapt(problem).scorer(problem.backbone, problem.task)
    expected = plain.scale * unit(plain.test) @ plain.captions.T
    np.testing.assert_allclose(scorer.logits(plain.pixels).numpy(), expected, atol=2e-5)
    known = zero_shot(problem.task, problem.backbone).predict(plain.pixels)
    assert scorer.predict(plain.pixels).tolist() == known.tolist()


def test_the_ensemble_is_the_teacher(problem: Problem, plain: Plain) -> None:
    scorer = make_method("zero-shot-ensemble").adapt(problem).scorer(problem.backbone, problem.task)
    task = problem.task
    teacher = ZeroShotTeacher(problem.backbone, task.templates, task.class_names)
    expected = teacher.opinions(plain.pixels).numpy()
    np.testing.assert_allclose(scorer.logits(plain.pixels).numpy(), expected, atol=2e-5)
    other = make_method("zero-shot").adapt(problem).scorer(problem.backbone, task)
    assert np.abs(other.logits(plain.pixels).numpy() - expected).max() > 1e-3


def test_nothing_is_learned(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(problem.task.pool), "image", None)
    learned = make_method("zero-shot").adapt(problem)
    assert (learned.parameters, dict(learned.tensors)) == (0, {})
