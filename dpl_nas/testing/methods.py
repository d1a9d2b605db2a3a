"""Conformance tests of methods, to inherit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dpl_nas.config import TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.methods import Learned, Method, TowerMethod, load_learned, save_learned
from dpl_nas.observer import Observer
from dpl_nas.testing.small import (
    Bench,
    OnSquares,
    assert_sentence,
    global_generators,
    of_class,
)
from dpl_nas.training.problem import Problem

__all__ = ["MethodConformance"]

_LEARNED = pytest.StashKey[Learned]()


class _Stopped(BaseException):
    """An interruption like a kill: the method must not catch it."""


class _StopAfter(Observer):
    """Stops a training after an epoch."""

    def advance(self, *_: Any, **__: Any) -> None:
        """Stop."""
        raise _Stopped


class MethodConformance(OnSquares):
    """Tests that hold for every method: inherit them and write :meth:`make`.

    Attributes
    ----------
    space
        Space whose backbone is adapted.
    shots
        Images per class that it learns from.
    train
        The recipe of methods that learn in the towers.
    """

    shots: int = 4
    train: TrainSettings = TrainSettings(epochs=2, batch_size=3)

    def make(self, **settings: Any) -> Method:
        """A method; ``settings`` are put over its own."""
        raise NotImplementedError

    def small(self) -> Method:
        """The method, with a short training if it has one."""
        method = self.make()
        return self.make(recipe=self.train) if isinstance(method, TowerMethod) else method

    @pytest.fixture
    def problem(self, bench: Bench) -> Problem:
        """What is learned from."""
        return Problem.of(self.space, bench.task, shots=self.shots, backbone=bench.backbone)

    @pytest.fixture
    def pixels(self, bench: Bench) -> Tensor:
        """Preprocessed test images (5, 3, S, S)."""
        images = [bench.task.test.image(row) for row in range(5)]
        return torch.stack([bench.backbone.preprocess(image) for image in images])

    @pytest.fixture
    def learned(self, problem: Problem, request: pytest.FixtureRequest) -> Learned:
        """What others are compared with, made once a class."""
        stash = of_class(request)
        if _LEARNED not in stash:
            stash[_LEARNED] = self.small().adapt(problem)
        return stash[_LEARNED]

    def test_it_says_what_it_is(self) -> None:
        """A method has a name for people, and a paper."""
        kind = type(self.make())
        assert kind.title
        assert kind.paper

    def test_the_seed_decides_what_is_learned_and_the_backbone_stays(
        self, learned: Learned, problem: Problem
    ) -> None:
        """The same seed gives the same, whatever the global generators are at; weights stay."""
        model = problem.backbone.model
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        torch.manual_seed(99)
        before = global_generators()
        again = self.small().adapt(problem)
        assert global_generators() == before
        assert again.tensors.keys() == learned.tensors.keys()
        for name, value in learned.tensors.items():
            assert torch.equal(value, again.tensors[name]), name
        for name, value in model.state_dict().items():
            assert torch.equal(value, weights[name]), name
        for name, parameter in model.named_parameters():
            assert parameter.grad is None, name
            assert not parameter.requires_grad, name

    def test_a_small_search_tries_the_method_itself_first(self, problem: Problem) -> None:
        """Variants are methods of the same kind, and the first has the settings that were given."""
        method = self.small()
        variants = list(method.variants(problem).values())
        assert variants[0] == method
        assert {type(each) for each in variants} == {type(method)}
        assert all(each not in variants[:index] for index, each in enumerate(variants))

    def test_learned_tensors_are_plain(self, learned: Learned) -> None:
        """They are finite, in the host's memory and without a graph."""
        for name, value in learned.tensors.items():
            assert not value.requires_grad, name
            assert value.device.type == "cpu", name
            assert bool(value.isfinite().all()), name
        assert 0 <= learned.parameters <= sum(each.numel() for each in learned.tensors.values())

    def test_it_answers_for_each_image(
        self, learned: Learned, problem: Problem, pixels: Tensor
    ) -> None:
        """Logits (batch, classes) of an image do not depend on the others."""
        scorer = learned.scorer(problem.backbone, problem.task)
        logits = scorer.logits(pixels)
        assert logits.shape == (len(pixels), len(problem.task.class_names))
        assert bool(logits.isfinite().all())
        assert not logits.requires_grad
        for row, image in enumerate(pixels):
            torch.testing.assert_close(
                scorer.logits(image[None])[0], logits[row], atol=1e-3, rtol=0
            )
        assert scorer.predict(pixels).tolist() == logits.argmax(dim=1).tolist()

    def test_a_file_gives_the_same_answers(
        self, learned: Learned, problem: Problem, pixels: Tensor, tmp_path: Path
    ) -> None:
        """What is saved and loaded is what was learned."""
        save_learned(learned, tmp_path / "learned.safetensors")
        loaded = load_learned(tmp_path / "learned.safetensors", type(learned.method))
        assert loaded.method == learned.method
        assert loaded.parameters == learned.parameters
        answers = [
            each.scorer(problem.backbone, problem.task).logits(pixels) for each in (learned, loaded)
        ]
        assert torch.equal(*answers)

    def test_other_weights_are_refused(self, learned: Learned, problem: Problem) -> None:
        """What was learned fits one backbone."""
        with pytest.raises(
            CheckpointError, match="load the weights that it was learned on"
        ) as found:
            replace(learned, fingerprint="0" * 16).scorer(problem.backbone, problem.task)
        assert_sentence(found.value)

    def test_other_classes_are_refused_or_answered(
        self, learned: Learned, problem: Problem, pixels: Tensor
    ) -> None:
        """A method that transfers tells other classes apart; no other pretends to."""
        names = ("red", "green", "white")
        other = replace(problem.task, class_names=names)
        if type(learned.method).transfers:
            assert learned.scorer(problem.backbone, other).logits(pixels).shape == (5, 3)
            return
        with pytest.raises(CheckpointError, match="learn again") as found:
            learned.scorer(problem.backbone, other)
        assert_sentence(found.value)

    def test_a_stopped_training_goes_on(
        self, learned: Learned, problem: Problem, tmp_path: Path
    ) -> None:
        """A training in the towers that was killed ends as one that was not."""
        method = self.small()
        if not isinstance(method, TowerMethod):
            pytest.skip("it has no training in the towers")
        state = tmp_path / "state"
        with pytest.raises(_Stopped):
            method.adapt(problem, state=state, observer=_StopAfter())
        again = method.adapt(problem, state=state)
        for name, value in learned.tensors.items():
            assert torch.equal(value, again.tensors[name]), name

    def test_every_parameter_has_a_gradient(self, problem: Problem, pixels: Tensor) -> None:
        """A loss of the outputs reaches all that is learned in the towers."""
        method = self.small()
        if not isinstance(method, TowerMethod):
            pytest.skip("it learns nothing in the towers")
        model = method.model(problem.backbone, problem.seed)
        model(pixels, method.captions(problem.backbone, problem.task)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name

    def test_unknown_settings_are_refused(self) -> None:
        """A setting that does not exist is noticed."""
        with pytest.raises((ConfigError, ValueError), match="no_such_setting"):
            self.make(no_such_setting=1)
