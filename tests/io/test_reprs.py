"""Every public object is shown in a line, however much it holds."""

import dataclasses
import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import nn

import dpl_nas
from dpl_nas import bench, comparison, config, diagnostics, methods, prompted, runs, strategy
from dpl_nas.backbone import Backbone
from dpl_nas.classifier.fitting import PRESETS, FitSettings, fit
from dpl_nas.classifier.held import Held
from dpl_nas.config import RunConfig
from dpl_nas.diagnostics.separation import separation
from dpl_nas.engine import TrialSettings
from dpl_nas.io.reprs import LONGEST, in_a_line, short_repr
from dpl_nas.io.validation import Frozen
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.named_space import NamedPromptSpace
from dpl_nas.prompted import Context, PromptedCLIP, StackedCLIP
from dpl_nas.space import Space
from dpl_nas.strategy import Found, Search, SearchResult, Strategy
from dpl_nas.tasks import few_shot_split
from dpl_nas.testing import Bench, Whole
from dpl_nas.training import Problem, evaluate, train


class Looking(Strategy):
    """Keeps what it is given."""

    search_given: Search | None = None

    def explore(self, search: Search) -> Found:
        type(self).search_given = search
        search.evaluate([search.space.uniform(2)])
        return Found(search.space.uniform(2))


@pytest.fixture(scope="module")
def objects(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    mini_weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Real objects by the name of their class; the result of a supernet, too."""
    place = tmp_path_factory.mktemp("run")
    settings = {"epochs": 1, "batch_size": 6}
    run_config = RunConfig.model_validate(
        {
            "task": str(image_folder),
            "space": small_space.model_dump(mode="json"),
            "strategy": {
                "name": "quick",
                "strategy": "darts",
                "search": {**settings, "shortlist": 2},
                "train": settings,
            },
            "shots": 2,
        }
    )
    problem = Problem.of_run(run_config)
    text = small_backbone.text_inputs(["a cat", "a dog"])
    model = PromptedCLIP(small_backbone, {"image": {0: Context(2, 32)}})
    images = torch.zeros(1, 3, 24, 24)
    space = Space.model_validate(
        {**small_space.model_dump(mode="json"), "name": "x" * 90, "max_context_vectors": 3}
    )
    result = runs.run(run_config, place / "run")
    prompts = dpl_nas.load_prompts(place / "run")
    searched = dpl_nas.strategy.make_strategy(run_config.strategy).search(problem)
    own = Looking().search(problem, "1-trials", folder=place / "own")
    fitted = fit(problem, FitSettings(preset="quick"), run_config.strategy)
    classifier = dpl_nas.PromptClassifier(
        preset="quick", shots=2, space=small_space, class_names=["a long name of a class"] * 3
    )
    classifier.set_params(class_names=None).fit(image_folder)
    cell = comparison.Cell("t" * 90, "s" * 90, "darts", 1, 2, {"text": [1] * 24}, 24, 0.5, 0.5)
    cells = [dataclasses.replace(cell, strategy=each, seed=n) for each in "ab" for n in range(3)]
    supernet = PromptSpace(space, small_backbone)
    mixture = prompted.ContextCandidates.separate([0, 2, 4], 8)
    nodes: dict[str, Any] = {}
    tiny = place / "tiny.yml"
    tiny.write_text(
        "towers: {text: {layers: [0], lengths: [0, 1]}}\n"
        f"backbone: {{pretrained: {mini_weights}}}\n"
    )
    found = [
        run_config, problem, text, model, space, result, prompts, searched, own, fitted, classifier,
        cell, supernet, mixture, small_backbone, prompts.architecture, problem.task,
        NamedPromptSpace(str(tiny)),
        run_config.strategy, *(getattr(config, name)() for name in config.__all__
                               if name.endswith("Settings") and name != "SearchSettings"),
        config.SearchSettings(), config.PromptInit(), config.Temperature(), config.Constraint(),
        config.EarlyStop(), config.Distillation(),
        dpl_nas.SearchBudget(trials=3), space.limits[0], space.towers["image"], space.backbone,
        runs.search(run_config, place / "search"),
        runs.train(run_config, prompts.architecture, place / "train"),
        runs.evaluate(place / "run"), evaluate(prompts, problem.task),
        model.image_states(images), mixture(), Context(2, 8),
        prompted.NestedContext(nn.Parameter(torch.zeros(4, 8)), 2),
        StackedCLIP([model, model]), StackedCLIP([model]).image_states(images),
        StackedCLIP([model]).each_outputs(images, text)[0], supernet.clip.contexts["image"]["0"],
        PRESETS["quick"],
        searched.records[0], searched.evaluations[0], searched.evaluations[0].outcome,
        searched.cost, searched.collapse, searched.compared, Found(prompts.architecture),
        Looking.search_given, TrialSettings(problem, run_config.strategy.search),
        few_shot_split(problem.task, 2, 1), comparison.Plan((run_config,) * 1),
        comparison.analyse(cells), separation("t" * 90, "s" * 90, 2, np.eye(4, 3)),
        Held.of(fitted), fitted.chosen, fitted.made, fitted.chosen.candidate, classifier.saved_,
        classifier.saved_.metadata, classifier.saved_.metadata.leaderboard[0], FitSettings(),
        methods.make_method("tip-adapter").adapt(problem), methods.make_method("tip-adapter-f"),
        methods.TokenCLIP(small_backbone, {"image": {0: 2}}, 1), methods.make_method("maple"),
        bench.Job("coop", "t" * 90, "all", 1, 1, (bench.TestSet(name="all", task="t" * 90),)),
        Bench(problem.task, small_backbone), Whole(searched, place), dpl_nas.strategy.Random(),
    ]  # fmt: skip
    for each in found:
        if each is not None:
            nodes.setdefault(type(each).__name__, each)
    return nodes


def test_every_object_is_shown_in_a_line(objects: dict[str, Any]) -> None:
    for name, value in objects.items():
        for shown in (repr(value), str(value)):
            assert "\n" not in shown, name
            assert len(shown) <= LONGEST, (name, shown)
        if not isinstance(value, nn.Module):
            assert repr(value).startswith(name), name


def test_all_public_classes_have_been_shown(
    objects: dict[str, Any], public_names: dict[str, Any]
) -> None:
    shown = {type(each) for each in objects.values()}
    classes = {
        value.__name__: value
        for value in public_names.values()
        if inspect.isclass(value) and not inspect.isabstract(value)
    }
    # Python's own says the class, or the value of an enumeration; a strategy's the settings.
    plain = {object.__repr__, StrEnum.__repr__, Strategy.__repr__, short_repr, Frozen.__repr__}
    unseen = {
        name
        for name, value in classes.items()
        if value not in shown and value.__repr__ not in plain
    }
    # A choice of NNI's, which has a line of its own.
    assert unseen == {"LengthChoice"}
    assert not any(
        issubclass(value, BaseModel) and value.__repr__ is BaseModel.__repr__
        for value in classes.values()
    )


def test_a_module_keeps_what_it_is(objects: dict[str, Any]) -> None:
    space = objects["PromptSpace"]
    assert repr(space).startswith("PromptSpace(Space('xxx")
    assert "clip.contexts.image.0" in dict(space.named_modules())
    assert any(name.endswith("vectors") for name in space.state_dict())
    assert repr(objects["NamedPromptSpace"]).startswith("NamedPromptSpace(Space('tiny'")
    assert repr(objects["PromptedCLIP"]) == "PromptedCLIP(test-small, image: contexts at 1 layers)"
    assert repr(objects["ContextChoice"]) == "ContextChoice(image/0: 0, 2, 4)"
    choice = objects["PromptSpace"].simplify()["image/0"]
    assert "\n" not in repr(choice)
    assert len(repr(choice)) <= LONGEST
    assert repr(objects["StackedCLIP"]) == "StackedCLIP(2 models of test-small)"


@dataclasses.dataclass
class Parts:
    number: float = 0.5
    text: str = ""
    items: Any = ()
    other: Any = None

    __repr__ = short_repr


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Parts(), "Parts()"),
        (Parts(1 / 3, "a\n"), r"Parts(number=0.3333, text='a\n')"),
        (Parts(items=[1, 2]), "Parts(items=[1, 2])"),
        (Parts(items=range(1000)), "Parts(items=<1000 items>)"),
        (Parts(items={"a": torch.zeros(2)}), "Parts(items=<1 item>)"),
        (Parts(items=torch.zeros(2, 3)), "Parts(items=Tensor of 2 x 3)"),
        (Parts(items=np.zeros(())), "Parts(items=ndarray of a number)"),
        (Parts(text="x" * 100), f"Parts(text='{'x' * 37}...')"),
        (Parts(other=Path("/a")), "Parts(other='/a')"),
        (Parts(other=Parts(other=Parts(text="y" * 60))), "Parts(other=Parts(...))"),
    ],
)
def test_what_a_line_tells(value: Parts, shown: str) -> None:
    assert repr(value) == shown


def test_a_line_has_an_end() -> None:
    assert in_a_line("Space('a\nb')") == r"Space('a\nb')"
    assert len(in_a_line("x" * 1000)) == LONGEST
    assert in_a_line("x" * 1000).endswith("...)")


def test_strategies_and_estimators_with_many_settings() -> None:
    many: Callable[..., Any] = strategy.DARTS
    shown = repr(many(**config.DartsSettings(epochs=3, shortlist=5).model_dump(mode="json")))
    assert shown.startswith("DARTS(epochs=3, ")
    assert len(shown) <= LONGEST
    classifier = dpl_nas.PromptClassifier(class_names=["long name"] * 500, shots=3)
    assert repr(classifier).startswith("PromptClassifier(class_names=[")
    assert len(repr(classifier)) <= LONGEST
    assert repr(dpl_nas.PromptClassifier()) == "PromptClassifier()"
    assert isinstance(diagnostics.Ranking("t", "s", 3, (), ()), diagnostics.Ranking)
    assert repr(diagnostics.Ranking("t", "s", 3, (), ())).startswith("Ranking(task='t'")


def test_training_still_tells_what_it_made(objects: dict[str, Any]) -> None:
    result: SearchResult = objects["SearchResult"]
    assert repr(result).startswith("SearchResult(architecture=")
    assert str(dpl_nas.SearchBudget(trials=3)) == "3-trials"
    assert train.__name__ == "train"
