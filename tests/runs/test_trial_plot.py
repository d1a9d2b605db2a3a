"""The picture of a search's trials."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dpl_nas.engine import Cost, Evaluation, Outcome
from dpl_nas.runs.trial_plot import plot_trials
from dpl_nas.space import Architecture
from dpl_nas.space.fitting import portfolio
from dpl_nas.testing import small_space

SPACE = small_space()
DESIGNS = portfolio(SPACE)


def trial(number: int, architecture: Architecture, accuracy: float) -> Evaluation:
    right = (True,) * round(20 * accuracy) + (False,) * (20 - round(20 * accuracy))
    outcome = Outcome(accuracy, 1.0, 20, right, (1.0,) * 20)
    return Evaluation(number, architecture, 1, outcome, Cost(), Cost(), 0)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        found: tuple[int, int] = picture.size
        return found


def test_a_row_a_trial(tmp_path: Path) -> None:
    name, design = next(iter(DESIGNS.items()))
    found = SPACE.uniform(0)
    trials = [trial(0, found, 0.8), trial(1, design, 0.75)]
    plot_trials(trials, DESIGNS, found, tmp_path / "two.png")
    plot_trials(trials[:1], DESIGNS, found, tmp_path / "one.png")
    assert size(tmp_path / "two.png")[1] > size(tmp_path / "one.png")[1]
    # Names of manual designs are drawn, so the picture without them is another.
    plot_trials(trials, {}, found, tmp_path / "unnamed.png")
    assert (tmp_path / "unnamed.png").read_bytes() != (tmp_path / "two.png").read_bytes()
    assert name
    means = [replace(each, outcome=Outcome(each.accuracy or 0.0, 1.0, 20)) for each in trials]
    plot_trials(means, DESIGNS, found, tmp_path / "means.png")
    assert (tmp_path / "means.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_what_was_found_is_drawn_even_far_below(tmp_path: Path) -> None:
    others = list(DESIGNS.values())
    trials = [trial(at, others[at % len(others)], 0.9) for at in range(40)]
    last = trial(40, SPACE.uniform(0), 0.1)
    plot_trials(trials, DESIGNS, last.architecture, tmp_path / "without.png")
    plot_trials([*trials, last], DESIGNS, last.architecture, tmp_path / "with.png")
    assert size(tmp_path / "with.png")[1] > size(tmp_path / "without.png")[1]


def test_nothing_to_draw(tmp_path: Path) -> None:
    failed = Evaluation(0, SPACE.uniform(0), 1, None, Cost(), Cost(), 0, "broken")
    with pytest.raises(ValueError, match="no trial ended well"):
        plot_trials([failed], DESIGNS, SPACE.uniform(0), tmp_path / "none.png")
