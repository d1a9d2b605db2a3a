"""Methods whose lengths are searched: the space that they have, and what a trial trains."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dpl_nas.config import MethodConfig, RunConfig, TrainSettings
from dpl_nas.engine import FewShotTrials, TrialSettings
from dpl_nas.engine.trials import measure, trainings
from dpl_nas.errors import ConfigError, OutputError, SpaceError, StrategyError
from dpl_nas.methods import make_method, problem_of_run, with_towers_of
from dpl_nas.methods.depths import lengths_of
from dpl_nas.methods.searched import searched_method
from dpl_nas.strategy import make_strategy
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.problem import Problem

SEARCHED = ("dpl", "dpl+promptsrc", "dpl+maple", "ivlp", "vpt", "maple", "promptsrc", "clip-lora")


def config_of(run_config: RunConfig, name: str, **settings: Any) -> RunConfig:
    method = MethodConfig(name=name, settings=settings)
    return with_towers_of(run_config.model_copy(update={"method": method}))


@pytest.mark.parametrize("name", SEARCHED)
def test_a_trial_trains_the_method_with_the_lengths(run_config: RunConfig, name: str) -> None:
    problem = problem_of_run(config_of(run_config, name))
    space, backbone = problem.space, problem.backbone
    architecture = space.architecture(
        {label: (2 if layer else 0) for label, _, layer in space.labels()}
    )
    settings = TrialSettings(problem)
    outcome, _ = FewShotTrials(settings).run(architecture, settings.epochs)
    split = settings.split
    method = make_method(name, lengths=lengths_of(architecture), recipe=run_config.strategy.train)
    plain = Problem.of(space, problem.task, shots=6, seed=3, backbone=backbone)
    learned = method.adapt(plain, split.train, quiet=True)
    held = FewShotImages(problem.task.pool, split.validation, backbone, "none")
    expected = measure(learned.scorer(backbone, problem.task), held)
    assert outcome.accuracy == expected.accuracy
    assert outcome.losses == pytest.approx(expected.losses, abs=1e-6)
    # It has learned something: without steps, answers are others.
    untrained, _ = FewShotTrials(settings).run(architecture, 0)
    assert untrained.losses != pytest.approx(outcome.losses, abs=1e-6)


@pytest.mark.parametrize("name", SEARCHED)
def test_no_vectors_at_all_are_the_frozen_model(run_config: RunConfig, name: str) -> None:
    problem = problem_of_run(config_of(run_config, name))
    scorer = trainings(problem, problem.shot_rows).scorer_of(problem.space.uniform(0))
    assert torch.isfinite(scorer.logits(torch.zeros(1, 3, 24, 24))).all()


def test_the_space_has_the_towers_of_the_method(run_config: RunConfig) -> None:
    whole = run_config.space
    assert list(config_of(run_config, "maple").space.towers) == ["text"]
    assert list(config_of(run_config, "vpt").space.towers) == ["image"]
    assert config_of(run_config, "ivlp").space == whole
    wrong = run_config.model_copy(update={"method": MethodConfig(name="maple")})
    with pytest.raises(SpaceError, match=r"space small has image, too: leave it out"):
        problem_of_run(wrong)
    text = config_of(run_config, "maple").space
    with pytest.raises(SpaceError, match="image tower alone, which space small does not search"):
        config_of(run_config.model_copy(update={"space": text}), "vpt")


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("zero-shot", {}, "has no lengths by layer"),
        ("cocoop", {}, "has no lengths by layer"),
        ("maple", {"lengths": {"text": [1]}}, "are what is searched"),
        ("maple", {"lenght": 1}, "lenght"),
        ("mapel", {}, "unknown method 'mapel'"),
    ],
)
def test_what_cannot_be_searched(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        searched_method(MethodConfig(name=name, settings=settings))


def test_the_recipe_is_the_strategys_unless_asked_otherwise(run_config: RunConfig) -> None:
    train = run_config.strategy.train
    assert problem_of_run(config_of(run_config, "promptsrc")).recipe == train
    published = problem_of_run(config_of(run_config, "promptsrc", recipe="published")).recipe
    assert (published.epochs, published.batch_size) == (50, 4)
    own = TrainSettings(epochs=7)
    asked = config_of(run_config, "promptsrc", recipe=own.model_dump(mode="json"))
    assert problem_of_run(asked).recipe == own


def test_others_do_not_take_the_run_for_one_of_context_vectors(run_config: RunConfig) -> None:
    with pytest.raises(ConfigError, match="found method maple: leave out the method"):
        Problem.of_run(config_of(run_config, "maple"))


def test_ranks_are_not_mixed_by_a_supernet(run_config: RunConfig) -> None:
    config = config_of(run_config, "clip-lora")
    with pytest.raises(StrategyError, match="CLIP-LoRA has none: use a strategy of trials"):
        make_strategy(config.strategy).search(problem_of_run(config), quiet=True)


@pytest.mark.parametrize("strategy", ["darts", "random"])
def test_a_search_keeps_the_method_of_its_folder(
    run_config: RunConfig, strategy: str, tmp_path: Path
) -> None:
    search = {"shortlist": 1, "epochs": 1, "batch_size": 6} if strategy == "darts" else {}
    own = run_config.strategy.model_copy(update={"strategy": strategy})
    own = type(own).model_validate(own.model_dump(mode="json") | {"search": search})
    config = config_of(run_config.model_copy(update={"strategy": own}), "dpl+promptsrc")

    def found(config: RunConfig) -> Any:
        return make_strategy(config.strategy).search(
            problem_of_run(config), "3-trials", folder=tmp_path / "search", quiet=True
        )

    first = found(config)
    assert first.evaluations
    again = found(config)
    assert again.architecture == first.architecture
    assert [each.outcome for each in again.evaluations] == [
        each.outcome for each in first.evaluations
    ]
    for other in (config_of(config, "ivlp"), config_of(config, "dpl+promptsrc", length=3)):
        with pytest.raises(OutputError):
            found(other)
