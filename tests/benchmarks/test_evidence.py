"""``python -m benchmarks.evidence``: a small bank, and what estimators make of a bank."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.evidence import (
    COUNTS,
    Estimator,
    Row,
    choices,
    main,
    preferred,
    taus,
    unseen_scores,
)
from dpl_nas.space.fitting import enumerate_all
from dpl_nas.testing import small_space


@pytest.mark.slow
def test_a_bank_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path), "--tasks", "mini/mirror", "--shots", "2", "--"]
    arguments += ["train.epochs=1", "train.batch_size=20", "search.epochs=1"]
    counts = dict.fromkeys(COUNTS, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("benchmarks.evidence.COUNTS", counts)
        patched.setattr("benchmarks.evidence.EPOCHS", (40, 1))
        main(arguments)
        first = capsys.readouterr()
        assert first.err.splitlines()[-1] == "mini/mirror 1: 1 1"
        lines = first.out.splitlines()
        assert lines[0].startswith("| epochs | folds | by | cost | mini/mirror | tau |")
        names = [line.split(" | ")[0] for line in lines]
        assert names[-13:-10] == [f"| {kind}" for kind in counts]
        assert names[-9:-5] == ["| epochs", "| ---", "| 40", "| 40"]
        assert names[-4:] == [
            "| ranked by",
            "| ---",
            "| alphas",
            "| trials of the others, 40 epochs",
        ]
        main(arguments)
        assert capsys.readouterr() == (first.out, "")


def test_estimators_choose_by_what_they_average() -> None:
    # The second is right more often, the first is surer; the truth has it with the first.
    right = {(40, 0): np.array([[1, 0], [1, 1]]), (40, 1): np.array([[1, 1], [0, 0]])}
    losses = {(40, 0): np.array([[0.1, 0.8], [0.6, 0.6]]), (40, 1): np.array([[0.1, 0.1], [2, 2]])}
    row = Row(("random",) * 2, (1, 2), np.array([0.9, 0.5]), right, losses)
    found = {
        (folds, by): (taus([row], estimator), choices(row, estimator, ("random",), 4))
        for folds in (1, 2)
        for by in ("accuracy", "likelihood")
        for estimator in [Estimator(40, folds, by)]
    }
    assert {key: tau for key, (tau, _) in found.items()} == {
        (1, "accuracy"): [-1.0],
        (1, "likelihood"): [1.0],
        (2, "accuracy"): [1.0],
        (2, "likelihood"): [1.0],
    }
    assert [truth for _, truth in found.values()] == pytest.approx([0.5, 0.9, 0.9, 0.9])


def test_a_process_of_the_others_ranks_what_it_has_not_seen() -> None:
    space = small_space(None)
    architectures = list(enumerate_all(space))[::4]
    # The truth is the number of vectors of the text tower.
    truth = np.array([float(sum(each.lengths["text"])) for each in architectures])
    count = len(architectures)
    row = Row(
        ("random",) * count,
        (1,) * count,
        truth,
        {(40, 0): np.zeros((count, 2))},
        {(40, 0): np.stack([-truth, -truth], axis=1)},
        architectures,
    )
    found = unseen_scores(row, Estimator(40, 1, "likelihood"))
    assert np.corrcoef(found, truth)[0, 1] > 0.9


def test_rules_of_near_ties() -> None:
    # The first is best by a little; the second is a manual design, the third has fewer vectors.
    right = {(40, 0): np.array([[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1]])}
    losses = {(40, 0): np.array([[0.1] * 4, [0.11] * 4, [0.12] * 4])}
    kinds = ("random", "portfolio", "random")
    row = Row(kinds, (4, 4, 2), np.array([0.9, 0.7, 0.5]), right, losses)
    assert preferred(row, "manual", 0.0, 40) == pytest.approx(0.9)
    assert preferred(row, "manual", 1.0, 40) == pytest.approx(0.7)
    assert preferred(row, "fewest", 1.0, 40) == pytest.approx(0.5)
