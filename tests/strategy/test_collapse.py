"""What the alphas of a search depend on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.config import DartsSettings, load_strategy
from dpl_nas.strategy import DARTS
from dpl_nas.strategy.collapse import diagnose, initial_alphas
from dpl_nas.testing import Bench, small_space

SPACE = small_space()
LENGTHS = {label: SPACE.towers[tower].lengths for label, tower, _ in SPACE.labels()}
START = initial_alphas(LENGTHS, 1, 0.001)


def test_alphas_that_have_not_moved_are_undecided_and_tied_to_their_start() -> None:
    found = diagnose(SPACE, {label: each.tolist() for label, each in START.items()}, START)
    assert found.entropy == pytest.approx(1, abs=1e-4)
    assert found.start == pytest.approx(1)
    undecided, tied = found.warnings
    assert "the alphas are undecided (entropy 100%" in undecided
    assert "still tied to how they were drawn" in tied


def test_the_same_preference_at_every_layer_is_told() -> None:
    alphas = {label: [float(at) for at in range(len(each))] for label, each in START.items()}
    found = diagnose(SPACE, alphas, START)
    assert found.length_alone == pytest.approx(1)
    (told,) = found.warnings
    assert "prefer lengths, not layers (100%" in told


def test_decided_alphas_that_differ_by_layer_are_not_complained_about() -> None:
    generator = torch.Generator().manual_seed(2)
    alphas = {
        label: (3 * torch.randn(len(each), generator=generator)).tolist()
        for label, each in START.items()
    }
    found = diagnose(SPACE, alphas, START)
    assert found.warnings == ()
    assert found.length_alone < 0.9


@given(st.floats(-5, 5), st.integers(0, 1000))
def test_what_a_softmax_does_not_see_changes_nothing(shift: float, seed: int) -> None:
    alphas = initial_alphas(LENGTHS, seed, 1.0)
    plain = {label: each.tolist() for label, each in alphas.items()}
    moved = {label: (each + shift).tolist() for label, each in alphas.items()}
    one, other = diagnose(SPACE, plain, START), diagnose(SPACE, moved, START)
    assert one.model_dump() == pytest.approx(other.model_dump(), abs=1e-5)


def test_alphas_of_zero_say_nothing() -> None:
    alphas = {label: [0.0] * len(each) for label, each in START.items()}
    found = diagnose(SPACE, alphas, initial_alphas(LENGTHS, 1, 0.0))
    assert (found.entropy, found.length_alone, found.start) == (pytest.approx(1), 0, 0)


def test_a_search_tells_what_its_alphas_depend_on(bench: Bench) -> None:
    preset = load_strategy("darts").search
    assert isinstance(preset, DartsSettings)
    settings = preset.alphas_alone().model_dump(mode="json")
    settings |= {"epochs": 1, "alphas": {"lr": 1e-9}}
    found = DARTS(**settings).search(SPACE, bench.task, shots=4, backbone=bench.backbone)
    assert found.evaluations == ()
    assert found.collapse is not None
    # Hardly a step was made, so this also holds the first alphas against those of the supernet.
    assert found.collapse.start == pytest.approx(1, abs=1e-3)
    assert found.summary().collapse == found.collapse
