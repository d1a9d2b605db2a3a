"""A small search on the shots takes what is better on the other half of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.bench.tuning import tuned
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.methods import Method, Scorer, make_method, towers
from dpl_nas.observer import Observer
from dpl_nas.space import Space
from dpl_nas.tasks import ImageSet, Task, few_shot_split, load_task
from dpl_nas.training.problem import Problem


@pytest.fixture(scope="module")
def problem(small_space: Space, small_backbone: Backbone, image_folder: Path) -> Problem:
    return Problem.of(small_space, load_task(image_folder), shots=4, backbone=small_backbone)


def test_the_probe_of_the_best_score_by_hand(problem: Problem) -> None:
    task, backbone = problem.task, problem.backbone
    split = few_shot_split(task, 4, problem.seed, "split")

    def features(images: ImageSet, rows: Sequence[int]) -> Any:
        pixels = torch.stack([backbone.preprocess(images.image(row)) for row in rows])
        with torch.no_grad():
            return backbone.model.encode_image(pixels).double().numpy()

    seen, unseen = features(task.pool, split.train), features(task.pool, split.validation)
    labels = [task.pool.labels[row] for row in split.train]
    truth = [task.pool.labels[row] for row in split.validation]
    scores = {}
    for strength in (0.5, 0.005, 0.05, 5.0, 50.0):
        probe = LogisticRegression(C=strength, max_iter=1000).fit(seen, labels)
        right = np.mean(probe.predict(unseen) == truth)
        loss = log_loss(truth, probe.predict_proba(unseen), labels=probe.classes_)
        scores[f"C {strength:.3g}"] = right - loss
    name, method = tuned(make_method("linear-probe", inverse_strength=0.5), problem)
    assert name == max(scores, key=lambda each: scores[each])
    assert name == f"C {method.model_dump()['inverse_strength']:.3g}"


def test_towers_are_trained_for_half_of_the_epochs_on_half_of_the_shots(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, int, int]] = []
    train = towers.train_tower

    def watched(method: Any, of: Any, images: Any, digest: str, recipe: Any, **more: Any) -> Any:
        seen.append((recipe.optimizer.lr, recipe.epochs, len(images)))
        return train(method, of, images, digest, recipe, **more)

    monkeypatch.setattr(towers, "train_tower", watched)
    recipe = TrainSettings(epochs=7, batch_size=6, optimizer=OptimizerSettings(lr=0.004))
    name, method = tuned(make_method("ivlp", recipe=recipe), problem)
    half = len(problem.shot_rows) // 2
    assert seen == [(0.004, 4, half), (0.001, 4, half), (0.016, 4, half)]
    optimizer = recipe.optimizer.model_copy(update={"lr": float(name.removeprefix("lr "))})
    expected = recipe.model_copy(update={"optimizer": optimizer})
    assert method == make_method("ivlp", recipe=expected)


class Likes(Method):
    """A method that answers the class of the label that it likes, or fails."""

    title = "likes"
    paper = "none"
    label: int = 0

    def variants(self, problem: Problem) -> Mapping[str, Method]:
        return {f"label {label}": Likes(label=label) for label in (self.label, self.label + 1)}

    def learn(
        self, problem: Problem, rows: Sequence[int], state: Path | None, observer: Observer
    ) -> Mapping[str, Tensor]:
        if self.label < 0:
            raise ConfigError(f"{self.label} is not finite")
        return {"label": torch.tensor(self.label)}

    def scorer(self, tensors: Mapping[str, Tensor], backbone: Backbone, task: Task) -> Scorer:
        label, classes = int(tensors["label"]), len(task.class_names)

        class Answer:
            def logits(self, images: Tensor) -> Tensor:
                return torch.zeros(len(images), classes).index_fill(1, torch.tensor([label]), 1.0)

            def predict(self, images: Tensor) -> Tensor:
                return self.logits(images).argmax(dim=-1)

        return Answer()

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        return 1


def test_of_equals_the_first(problem: Problem) -> None:
    # Every class has as many images, so one guess is as good as another.
    assert tuned(Likes(label=1), problem) == ("label 1", Likes(label=1))


def test_what_fails_is_not_taken(problem: Problem) -> None:
    assert tuned(Likes(label=-1), problem) == ("label 0", Likes(label=0))
    with pytest.raises(ConfigError, match="-3 is not finite"):
        tuned(Likes(label=-3), problem)


def test_one_shot_leaves_nothing_to_choose_on(problem: Problem) -> None:
    assert tuned(Likes(label=-3), problem.having(shots=1)) == ("label -3", Likes(label=-3))
    assert tuned(make_method("zero-shot"), problem) == ("", make_method("zero-shot"))
