from pathlib import Path

import numpy as np
import pytest

from dpl_nas.config import RunConfig, resolve
from dpl_nas.diagnostics.separation import draw_architectures, measure_separation, separation
from dpl_nas.errors import CheckpointError, OutputError, SpaceError
from dpl_nas.io.files import read_json
from dpl_nas.space import load_space
from dpl_nas.testing import assert_sentence


def test_against_a_table_worked_by_hand() -> None:
    """Two configurations 0.2 apart, seeds that add 0.1 to both: nothing is noise but 0.02."""
    accuracy = [[0.50, 0.60], [0.70, 0.84]]
    found = separation("task", "space", 16, accuracy)
    assert found.mean == pytest.approx(0.66)
    assert (found.worst, found.best) == (pytest.approx(0.55), pytest.approx(0.77))
    assert found.measured_spread == pytest.approx(0.22 / 2**0.5)
    # Residuals are +-0.01 each, with (2 - 1) * (2 - 1) degrees of freedom.
    assert found.error == pytest.approx((4 * 0.01**2 / 1 / 2) ** 0.5)
    assert found.ratio == pytest.approx(found.measured_spread / found.error)
    assert found.passed


def test_noise_alone_does_not_pass_often() -> None:
    rng = np.random.default_rng(0)
    ratios = [separation("", "", 1, rng.normal(0.7, 0.02, (20, 5))).ratio for _ in range(200)]
    # Without any difference the ratio is about 1.
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)
    assert max(ratios) < 2


def test_a_spread_is_recovered() -> None:
    rng = np.random.default_rng(1)
    spreads = []
    for _ in range(200):
        of_configurations = rng.normal(0, 0.05, (20, 1))
        of_seeds = rng.normal(0, 0.1, (1, 5))
        noise = rng.normal(0, 0.03, (20, 5))
        spreads.append(separation("", "", 1, 0.5 + of_configurations + of_seeds + noise).spread)
    assert np.mean(spreads) == pytest.approx(0.05, rel=0.05)


def test_random_architectures_differ_and_fit() -> None:
    space = load_space("mini_clip_budget6")
    found = draw_architectures(space, 30, seed=1)
    assert len({tuple(each.lengths.values()) for each in found}) == 30
    assert all(each.vectors <= 6 for each in found)
    assert found == draw_architectures(space, 30, seed=1)
    assert found[:10] == draw_architectures(space, 10, seed=1)


@pytest.fixture
def config(image_folder: Path, mini_weights: Path) -> RunConfig:
    weights = f"space.backbone.pretrained={mini_weights}"
    return resolve(str(image_folder), "mini_clip_budget6", "darts", [weights, "train.epochs=1"])


def test_a_space_of_one_architecture_tells_nothing_apart(config: RunConfig, tmp_path: Path) -> None:
    space = config.space.model_copy(update={"max_context_vectors": 0})
    alone = config.model_copy(update={"space": space})
    with pytest.raises(SpaceError, match="at least 2 architectures that fit, found 1") as error:
        measure_separation(alone, tmp_path / "out")
    assert_sentence(error.value)
    assert not (tmp_path / "out").exists()


def test_somebody_elses_folder_is_left_alone(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("mine")
    with pytest.raises(OutputError, match=r"holds plan\.json, which no diagnostic writes"):
        measure_separation(config, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]


def test_a_study_goes_on_and_refuses_a_damaged_ledger(config: RunConfig, tmp_path: Path) -> None:
    few = config.model_copy(update={"shots": 2})
    found = measure_separation(few, tmp_path, configurations=2, seeds=2)
    assert read_json(tmp_path / "separation.json") == found.as_dict()
    file = tmp_path / "tested.jsonl"
    content = file.read_bytes()
    assert measure_separation(few, tmp_path, configurations=2, seeds=2) == found
    assert file.read_bytes() == content
    file.write_bytes(content.replace(b"accuracy", b"accurate", 1))
    with pytest.raises(CheckpointError, match=r"line 2 of .*tested\.jsonl is damaged") as error:
        measure_separation(few, tmp_path, configurations=2, seeds=2)
    assert_sentence(error.value)
