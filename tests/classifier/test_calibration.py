"""Temperature, calibration error and the threshold of unknown pictures."""

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.classifier.calibration import (
    calibration_error,
    fit_temperature,
    reliability,
    unknown_threshold,
)


def drawn(images: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels that are drawn by their softmax: they are calibrated."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, labels


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_the_temperature_undoes_a_factor(factor: float) -> None:
    logits, labels = drawn(20_000, 5)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_the_temperature_is_the_best_of_all() -> None:
    logits, labels = drawn(60, 4, seed=3)
    found = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        scaled = logits.double() / temperature
        smooth = torch.nn.CrossEntropyLoss(label_smoothing=1 / 61)
        return float(smooth(scaled, labels))

    assert all(loss(found) <= loss(found * factor) for factor in (0.9, 0.99, 1.01, 1.1))


def test_a_few_images_that_are_all_right_do_not_make_it_sure() -> None:
    labels = torch.arange(4)
    logits = 10 * torch.eye(4)
    sure = (logits / fit_temperature(logits, labels)).softmax(dim=1).max()
    # One in five counts as drawn from four classes.
    assert float(sure) == pytest.approx(1 - 0.2 * 3 / 4, abs=1e-3)


def test_the_error_of_a_calibrated_one_is_small_and_of_a_sure_one_large() -> None:
    logits, labels = drawn(20_000, 5)
    assert calibration_error(logits.softmax(dim=1), labels) < 0.015
    sure = (10 * logits).softmax(dim=1)
    accuracy = float((logits.argmax(dim=1) == labels).double().mean())
    confidence = float(sure.max(dim=1).values.mean())
    assert calibration_error(sure, labels) == pytest.approx(confidence - accuracy, abs=0.01)


def test_bins_by_hand() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.95, 0.05], [1.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 0])
    low, high = reliability(probabilities, labels, bins=4)
    assert (low.low, low.high, low.count, low.accuracy) == (0.5, 0.75, 1, 0.0)
    assert (high.low, high.high, high.count) == (0.75, 1.0, 3)
    assert high.confidence == pytest.approx(0.95)
    assert high.accuracy == pytest.approx(2 / 3)
    expected = 0.25 * 0.7 + 0.75 * (0.95 - 2 / 3)
    assert calibration_error(probabilities, labels, bins=4) == pytest.approx(expected)


@given(st.integers(1, 200), st.floats(0.0, 0.5))
def test_the_threshold_counts(count: int, share: float) -> None:
    confidences = [(each + 1) / count for each in range(count)]
    found = unknown_threshold(confidences, share)
    below = sum(each < found for each in confidences)
    assert below <= share * (count + 1)
    if found == -math.inf:
        assert share * (count + 1) < 1


def test_no_more_than_promised_are_called_unknown() -> None:
    """On the mean over draws of the calibration images and of the new one."""
    rng = random.Random(1)
    for count, share in ((19, 0.05), (50, 0.1), (200, 0.05)):
        unknown = [
            rng.random() ** 2 < unknown_threshold([rng.random() ** 2 for _ in range(count)], share)
            for _ in range(4000)
        ]
        promised = math.floor(share * (count + 1)) / (count + 1)
        assert sum(unknown) / 4000 == pytest.approx(promised, abs=0.02)
