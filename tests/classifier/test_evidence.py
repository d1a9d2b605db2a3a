"""Cross-fitting: each image is judged by what was not made of it."""

from collections import Counter

import pytest
import torch

from dpl_nas.classifier.candidates import Candidate, make_candidates
from dpl_nas.classifier.evidence import Evidence, cross_fit, folds_of, ranked
from dpl_nas.config import TrainSettings
from dpl_nas.space.fitting import portfolio
from dpl_nas.testing import small_space
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.problem import Problem

SPACE = small_space(None)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.of(SPACE, "mini/digits", shots=4, recipe=TrainSettings(epochs=2, batch_size=8))


def candidates() -> list[Candidate]:
    designs = list(portfolio(SPACE).items())[:2]
    return [
        Candidate("zero-shot"),
        Candidate("linear probe", captions=False, strength=1e-3),
        Candidate("captions and pictures", strength=1e-3),
        *(Candidate(name, design) for name, design in designs),
    ]


def test_classes_are_spread_over_folds() -> None:
    labels = [0] * 7 + [1] * 2 + [2]
    folds = folds_of(labels, seed=1)
    counts = Counter(zip(labels, folds, strict=True))
    assert {counts[0, 0], counts[0, 1]} == {3, 4}
    assert counts[1, 0] == counts[1, 1] == 1
    assert counts[2, 0] + counts[2, 1] == 1
    assert folds == folds_of(labels, seed=1)
    assert any(folds != folds_of(labels, seed) for seed in range(2, 6))


def test_every_image_is_judged_by_the_other_fold(problem: Problem) -> None:
    rows = problem.shot_rows
    found = cross_fit(problem, candidates(), rows)
    labels = [problem.task.pool.labels[row] for row in rows]
    folds = folds_of(labels, problem.seed)
    others = [row for row, fold in zip(rows, folds, strict=True) if fold == 1]
    held = [at for at, fold in enumerate(folds) if fold == 0]
    images = FewShotImages(problem.task.pool, [rows[at] for at in held], problem.backbone, "none")
    pixels, _ = images.batch(range(len(held)), 0)
    for made, evidence in zip(make_candidates(problem, candidates(), others), found, strict=True):
        expected = made.classifier(problem.backbone, problem.task).logits(pixels)
        torch.testing.assert_close(evidence.logits[held], expected, atol=1e-4, rtol=1e-4)
        assert evidence.labels.tolist() == labels
    # Pictures say more of digits than chance.
    assert found[1].accuracy > 0.3
    chosen = ranked(found)[0]
    assert chosen.score == max(each.score for each in found)


def test_a_class_with_one_picture_has_captions_at_least(problem: Problem) -> None:
    first = {problem.task.pool.labels[row]: row for row in problem.shot_rows[::-1]}
    rows = [row for row in problem.shot_rows if problem.task.pool.labels[row] or row == first[0]]
    found = cross_fit(problem, candidates()[:3], rows)
    assert all(torch.isfinite(each.logits).all() for each in found)


def test_equal_scores_go_to_fewer_vectors() -> None:
    logits, labels = torch.eye(2), torch.tensor([0, 1])
    designs = sorted(portfolio(SPACE).values(), key=lambda each: -each.vectors)
    many, few = (Candidate(str(each.vectors), each) for each in (designs[0], designs[-1]))
    both = [Evidence(many, logits, labels, 0.0), Evidence(few, logits, labels, 0.0)]
    assert ranked(both)[0].candidate == few


def test_a_balanced_score_counts_classes_and_not_images() -> None:
    # Nine of the first class are right, and the one of the second is wrong.
    logits = torch.tensor([[2.0, 0.0]] * 10)
    labels = torch.tensor([0] * 9 + [1])
    plain, balanced = (
        Evidence(Candidate("always the first"), logits, labels, 0.0, each) for each in (False, True)
    )
    assert plain.accuracy == balanced.accuracy == pytest.approx(0.9)
    assert plain.score == pytest.approx(0.9 - plain.loss)
    shares = (logits / balanced.temperature).softmax(dim=1)[0]
    assert balanced.score == pytest.approx(0.5 + float(shares.log().mean()))


def test_a_balanced_recipe_balances_the_evidence(problem: Problem) -> None:
    first = {problem.task.pool.labels[row]: row for row in problem.shot_rows[::-1]}
    rows = [row for row in problem.shot_rows if problem.task.pool.labels[row] or row == first[0]]
    recipe = problem.recipe.model_copy(update={"balance": "batches"})
    probe = Candidate("linear probe", captions=False, strength=1e-3)
    (found,) = cross_fit(problem.having(recipe=recipe), [probe], rows)
    (plain,) = cross_fit(problem, [probe], rows)
    assert found.balanced
    assert not plain.balanced
    assert not torch.equal(found.logits, plain.logits)
