from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import nni
import pytest
import yaml

from dpl_nas.errors import ConfigError, SpaceError
from dpl_nas.experiments.tuner import FittingTuner
from dpl_nas.nni.search_space import architecture_of_parameters, nni_search_space
from dpl_nas.space import fitting, load_space

SPACE = "mini_clip_budget12"


def tried(tuner: FittingTuner, ids: range, score: Callable[[Any], float]) -> list[Any]:
    """Trials one after another, each with its result before the next."""
    space = load_space(SPACE)
    found = []
    for number in ids:
        parameters = tuner.generate_parameters(number)
        architecture = architecture_of_parameters(space, parameters)
        found.append(architecture)
        tuner.receive_trial_result(number, parameters, {"default": score(architecture)})
    return found


def in_text(architecture: Any) -> float:
    """A score with one best architecture: all twelve vectors in the text tower."""
    return sum(architecture.lengths["text"]) / 12


@pytest.mark.parametrize("algorithm", ["random", "evolution", "tpe"])
def test_everything_fits_and_nothing_comes_twice(algorithm: Any) -> None:
    found = tried(FittingTuner(SPACE, algorithm), range(60), in_text)
    assert all(each.vectors <= 12 for each in found)
    assert len({each.describe() for each in found}) == 60


def test_the_seed_decides() -> None:
    first, again, other = (
        tried(FittingTuner(SPACE, seed=seed), range(20), in_text) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("algorithm", ["random", "evolution", "tpe"])
def test_manual_designs_come_first(algorithm: Any) -> None:
    designs = list(fitting.portfolio(load_space(SPACE)).values())
    assert tried(FittingTuner(SPACE, algorithm), range(8), in_text)[:6] == designs[:6]
    none = tried(FittingTuner(SPACE, algorithm, portfolio=0), range(6), in_text)
    assert not set(none) & set(designs)
    # After a resumption, those that were not tried yet.
    tuner = FittingTuner(SPACE, algorithm)
    done = [{"parameter": each.by_label(), "value": 0.5} for each in designs[:4]]
    tuner.import_data(done)
    assert tried(tuner, range(4, 6), in_text) == designs[4:6]


def latest(algorithm: Any, seed: int) -> float:
    """The mean score of the last 40 of 120 trials."""
    found = tried(FittingTuner(SPACE, algorithm, seed), range(120), in_text)
    return sum(map(in_text, found[-40:])) / 40


@pytest.mark.parametrize("seed", [0, 1])
def test_what_learns_is_ahead_of_draws(seed: int) -> None:
    drawn = latest("random", seed)
    for algorithm in ("evolution", "tpe"):
        assert latest(algorithm, seed) > drawn + 0.1


@pytest.mark.parametrize("algorithm", ["evolution", "tpe"])
def test_a_resumed_experiment_goes_on_from_what_it_knew(algorithm: Any) -> None:
    before = FittingTuner(SPACE, algorithm, seed=1, portfolio=0)
    found = tried(before, range(100), in_text)
    after = FittingTuner(SPACE, algorithm, seed=1, portfolio=0)
    data = [
        # NNI mixes parameters up: the lengths of the result count.
        {"parameter": {}, "value": {"default": in_text(each), "lengths": each.describe()}}
        for each in found
    ]
    after.import_data(data)
    going_on = tried(after, range(101, 141), in_text)
    assert not {each.describe() for each in found} & {each.describe() for each in going_on}
    fresh = tried(FittingTuner(SPACE, algorithm, seed=1, portfolio=0), range(40), in_text)
    assert sum(map(in_text, going_on)) > sum(map(in_text, fresh)) + 4


def small(folder: Path, most: int = 2) -> Path:
    file = folder / "small.yml"
    towers = {"image": {"layers": [0, 5], "lengths": [0, 1, 2]}}
    file.write_text(yaml.safe_dump({"towers": towers, "max_context_vectors": most}))
    return file


def test_tpe_where_all_trials_count_as_good() -> None:
    found = tried(FittingTuner(SPACE, "tpe", startup_trials=1, gamma=10), range(9), in_text)
    assert len({each.describe() for each in found}) == 9


def test_until_all_were_tried(tmp_path: Path) -> None:
    file = small(tmp_path)
    space = load_space(file)
    tuner = FittingTuner(str(file), population_size=2, sample_size=1)
    tuner.update_search_space(nni_search_space(space))
    given: list[Any] = tuner.generate_multiple_parameters(list(range(9)))
    found = {architecture_of_parameters(space, each).describe() for each in given}
    assert found == {each.describe() for each in fitting.enumerate_all(space)}
    with pytest.raises(nni.NoMoreTrialError):
        tuner.generate_parameters(9)


def test_results_in_any_order_and_of_anybody(tmp_path: Path) -> None:
    space = load_space(SPACE)
    tuner = FittingTuner(SPACE, population_size=2, sample_size=2)
    waiting = {number: tuner.generate_parameters(number) for number in range(6)}
    order = list(waiting)
    Random(0).shuffle(order)
    for number in order:
        tuner.receive_trial_result(number, waiting[number], number / 10)
        tuner.trial_end(number, success=True)
    # Somebody typed these at NNI's page: too many vectors, no space at all.
    tuner.receive_trial_result(6, dict.fromkeys(waiting[0], 6), {"default": 1.0})
    tuner.receive_trial_result(7, {"hello": 1}, {"default": 1.0})
    tuner.trial_end(8, success=False)
    child = architecture_of_parameters(space, tuner.generate_parameters(9))
    assert child.vectors <= 12


def test_another_search_space(tmp_path: Path) -> None:
    tuner = FittingTuner(SPACE)
    tuner.update_search_space(nni_search_space(load_space(SPACE)))
    with pytest.raises(SpaceError, match="use the output of dpl-nas space nni"):
        tuner.update_search_space(nni_search_space(load_space(small(tmp_path))))


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"space": "mini_clpi"}, SpaceError, "unknown space 'mini_clpi'"),
        ({"space": SPACE, "algorithm": "magic"}, ConfigError, "tpe or random, found 'magic'"),
        ({"space": SPACE, "populaton_size": 3}, ConfigError, "unknown key populaton_size"),
        ({"space": SPACE, "population_size": 2}, ConfigError, "sample_size to be at most"),
        ({"space": SPACE, "algorithm": "tpe", "gamma": 0}, ConfigError, "gamma"),
        ({"space": SPACE, "algorithm": "random", "gamma": 1}, ConfigError, "unknown key gamma"),
        ({"space": SPACE, "portfolio": -1}, ConfigError, r"portfolio: .* equal to 0 \(found -1\)"),
        (
            {"space": SPACE, "portfolio": "all"},
            ConfigError,
            r"portfolio: .* whole number \(found 'all'\)",
        ),
    ],
)
def test_bad_settings(settings: dict[str, Any], error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        FittingTuner(**settings)
