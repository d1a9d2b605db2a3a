"""Classifiers by methods: compared, saved, loaded and exported as what they have learned."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from dpl_nas import PromptClassifier
from dpl_nas.backbone import Backbone
from dpl_nas.classifier.candidates import Candidate, make_candidates
from dpl_nas.classifier.evidence import cross_fit
from dpl_nas.classifier.export import export
from dpl_nas.classifier.fitting import Fit, FitSettings, fit
from dpl_nas.classifier.saved import SavedClassifier
from dpl_nas.config import MethodConfig, RunConfig, TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError, DplWarning, OutputError
from dpl_nas.io.files import read_json, write_json
from dpl_nas.methods import FittedMethod, LabelledFeatures, make_method
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.training.problem import Problem

pytestmark = pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")

RECIPE = {"recipe": "problem"}
#: One of each kind: of features, with and without a linear answer, and in the towers.
METHODS: dict[str, dict[str, Any]] = {
    "zero-shot-ensemble": {},
    "linear-probe": {},
    "tip-adapter-f": {"epochs": 2},
    "coop": RECIPE | {"length": 2},
    "cocoop": RECIPE,
    "maple": RECIPE | {"depth": 2},
    "clip-lora": RECIPE,
}


class Nearest(FittedMethod):
    """A user's: the class of the nearest picture."""

    title: ClassVar[str] = "Nearest"
    paper: ClassVar[str] = "none"

    captions: str = "none"

    def fit(
        self, features: LabelledFeatures, problem: Problem, rows: Sequence[int]
    ) -> Mapping[str, Tensor]:
        del problem, rows
        return {"images": features.images, "labels": features.labels}

    def score(
        self, tensors: Mapping[str, Tensor], images: Tensor, captions: Tensor, scale: float
    ) -> Tensor:
        near = images @ tensors["images"].T
        own = torch.nn.functional.one_hot(tensors["labels"]).bool()
        return scale * torch.stack([near[:, each].amax(dim=1) for each in own.T], dim=1)

    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        return 0


@pytest.fixture(scope="module")
def problem(small_space: Space, image_folder: Path) -> Problem:
    recipe = TrainSettings(epochs=2, batch_size=6)
    return Problem.of(small_space, image_folder, shots=4, recipe=recipe)


@pytest.fixture(scope="module", params=METHODS)
def saved(request: pytest.FixtureRequest, problem: Problem) -> SavedClassifier:
    method = MethodConfig(name=request.param, settings=METHODS[request.param])
    candidate = Candidate(f"method {method.name}", method=method)
    rows = problem.shot_rows
    (evidence,) = cross_fit(problem, [candidate], rows)
    (made,) = make_candidates(problem, [candidate], rows)
    found = Fit(problem, made, (evidence,), evidence, tuple(rows), 0.0)
    return SavedClassifier.of(found, problem.task.class_labels, "white")


def pixels_of(problem: Problem) -> Tensor:
    test, backbone = problem.task.test, problem.backbone
    return torch.stack([backbone.preprocess(test.image(row)) for row in range(0, 60, 8)])


def test_a_loaded_one_answers_as_the_method(
    saved: SavedClassifier, problem: Problem, small_backbone: Backbone, tmp_path: Path
) -> None:
    method = saved.metadata.method
    assert method is not None
    learned = make_method(method.name, **method.settings).adapt(problem, quiet=True)
    images = pixels_of(problem)
    expected = learned.scorer(problem.backbone, problem.task).logits(images)
    saved.save(tmp_path)
    loaded = SavedClassifier.load(tmp_path)
    assert loaded.metadata == saved.metadata.model_copy(update={"weights": loaded.metadata.weights})
    classifier = loaded.classifier(small_backbone)
    torch.testing.assert_close(classifier.logits(images), expected, atol=1e-4, rtol=1e-4)
    assert loaded.metadata.leaderboard[0].vectors is None


@pytest.mark.parametrize("kind", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_an_export_answers_as_the_method(
    saved: SavedClassifier, problem: Problem, small_backbone: Backbone, tmp_path: Path, kind: Any
) -> None:
    pictures = [problem.task.test.image(row).convert("RGB") for row in range(0, 60, 8)]
    classifier = saved.classifier(small_backbone)
    if saved.metadata.chosen == "method cocoop":
        with pytest.raises(OutputError, match="class features for each image"):
            export(classifier, saved.metadata, tmp_path / "file", kind, pictures)
        assert not list(tmp_path.iterdir())
        return
    assert export(classifier, saved.metadata, tmp_path / "file", kind, pictures) < 1e-4


@pytest.mark.filterwarnings("ignore:The use of `x.T`:UserWarning")
def test_damage_is_told(saved: SavedClassifier, small_backbone: Backbone, tmp_path: Path) -> None:
    saved.save(tmp_path)
    tensors = load((tmp_path / "model.safetensors").read_bytes())
    if not tensors:
        pytest.skip("nothing is learned")
    name = min(tensors)
    for wrong in (
        {key: value for key, value in tensors.items() if key != name},
        tensors | {name: torch.zeros(1, 1, 1, 1)},
        tensors | {"other": torch.zeros(1)},
        tensors | {name: torch.full_like(tensors[name].float(), float("nan"))},
    ):
        content = save(wrong)
        (tmp_path / "model.safetensors").write_bytes(content)
        told = read_json(tmp_path / "config.json")
        told["weights"] = hashlib.sha256(content).hexdigest()
        write_json(tmp_path / "config.json", told)
        with pytest.raises(CheckpointError, match="fit"):
            SavedClassifier.load(tmp_path).classifier(small_backbone)


def test_methods_are_compared_with_the_rest(
    problem: Problem, run_config: RunConfig, tmp_path: Path
) -> None:
    methods = (MethodConfig(name="tip-adapter"), MethodConfig(name="maple", settings=RECIPE))
    settings = FitSettings(preset="quick", methods=methods)
    first = fit(problem, settings, run_config.strategy, tmp_path, quiet=True)
    names = {each.candidate.name for each in first.evidence}
    assert {"zero-shot", "both all x 2", "method tip-adapter", "method maple"} <= names
    again = fit(problem, settings, run_config.strategy, tmp_path, quiet=True)
    assert [each.seconds for each in again.evidence] == [each.seconds for each in first.evidence]
    # What is kept is of these settings.
    other = MethodConfig(name="tip-adapter", settings={"views": 1})
    changed = FitSettings(preset="quick", methods=(other, methods[1]))
    with pytest.raises(CheckpointError, match="of other pictures or settings"):
        fit(problem, changed, run_config.strategy, tmp_path, quiet=True)


def test_without_captions_some_methods_are_left_out(
    small_space: Space, image_folder: Path, run_config: RunConfig
) -> None:
    task: Task = replace(load_task(image_folder), class_names=("square", "Square", "white"))
    problem = Problem.of(small_space, task, shots=4, recipe=run_config.strategy.train)
    methods = tuple(MethodConfig(name=name) for name in ("class-means", "tip-adapter"))
    with pytest.warns(DplWarning, match="Tip-Adapter needs captions that tell"):
        found = fit(problem, FitSettings(methods=methods), run_config.strategy, quiet=True)
    names = {each.candidate.name for each in found.evidence}
    assert "method class-means" in names
    assert "method tip-adapter" not in names


def test_the_estimator_takes_methods_of_users(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    strategy = tmp_path / "short.yml"
    strategy.write_text(
        "strategy: random\nbudget: {trials: 2}\ntrain: {epochs: 1, batch_size: 8}\n"
    )
    parameters: dict[str, Any] = {"preset": "quick", "shots": 4, "space": small_space}
    classifier = PromptClassifier(
        **parameters, strategy=str(strategy), methods=["tip-adapter", Nearest()], quiet=True
    ).fit(image_folder)
    board = classifier.leaderboard_.set_index("name")
    own = f"method {Nearest.__module__}:Nearest"
    assert {own, "method tip-adapter"} <= set(board.index)
    assert np.isnan(board["vectors"][own])
    for wrong, said in (
        ("maple", "expected a list of names or methods"),
        ([3], "expected a list of names or methods"),
        (["maple", "maple"], "found maple twice"),
        (["nothing"], "unknown method 'nothing'"),
    ):
        with pytest.raises(ConfigError, match=said):
            PromptClassifier(**parameters, methods=wrong).fit(image_folder)


def test_a_file_does_not_choose_what_is_imported(
    problem: Problem, small_backbone: Backbone, tmp_path: Path
) -> None:
    method = MethodConfig(name=f"{Nearest.__module__}:Nearest")
    candidate = Candidate("method nearest", method=method)
    rows = problem.shot_rows
    (evidence,) = cross_fit(problem, [candidate], rows)
    (made,) = make_candidates(problem, [candidate], rows)
    found = Fit(problem, made, (evidence,), evidence, tuple(rows), 0.0)
    SavedClassifier.of(found, problem.task.class_labels, "white").save(tmp_path)
    with pytest.raises(CheckpointError, match="no method of this package: load it in Python"):
        PromptClassifier.from_pretrained(tmp_path)
    loaded = PromptClassifier.from_pretrained(tmp_path, method=Nearest, quiet=True)
    picture = Image.open(problem_picture(problem))
    expected = made.classifier(small_backbone, problem.task).logits(
        small_backbone.preprocess(picture.convert("RGB"))[None]
    )
    assert loaded.predict([picture]) == [loaded.classes_[int(expected.argmax())]]


def problem_picture(problem: Problem) -> Path:
    return min(Path(problem.task.folder, "test").rglob("*.png"))
