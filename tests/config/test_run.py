import inspect
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from dpl_nas.config import STRATEGIES, RunConfig, load_strategy, parse_overrides, resolve
from dpl_nas.errors import ConfigError, SpaceError, StrategyError
from dpl_nas.mini.pretraining import PretrainSettings


def resolved(*overrides: str, **settings: Any) -> RunConfig:
    return resolve("mini/digits", "mini_clip", "darts", overrides, **settings)


def test_overrides_reach_every_part() -> None:
    config = resolved(
        "search.epochs=3",
        "train.optimizer.lr=0.5",
        "strategy.search.alphas.lr=0.25",
        "evaluate.uniform_length=2",
        "space.towers.image.lengths=[0, 2]",
        "space.backbone.pretrained=file.safetensors",
        "search.early_stop=null",
        "shots=4",
        seed=7,
    )
    assert config.strategy.search.epochs == 3
    assert config.strategy.train.optimizer.lr == 0.5
    assert config.strategy.search.alphas.lr == 0.25
    assert config.evaluate.uniform_length == 2
    assert config.space.towers["image"].lengths == (0, 2)
    assert config.space.backbone.pretrained == "file.safetensors"
    assert config.strategy.search.early_stop is None
    assert (config.shots, config.seed) == (4, 7)


def test_settings_that_are_off_can_be_switched_on() -> None:
    config = resolve("mini/digits", "mini_clip", "darts_released", ["search.early_stop.patience=3"])
    assert config.strategy.search.early_stop is not None
    assert config.strategy.search.early_stop.patience == 3


def test_configurations_round_trip() -> None:
    config = resolved("search.epochs=3", shots=2)
    text = yaml.safe_dump(config.model_dump(mode="json"))
    assert RunConfig.model_validate(yaml.safe_load(text)) == config


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("search.epochz=3", "unknown setting search.epochz"),
        ("shotz=3", "unknown setting shotz"),
        ("search.epochs.more=3", "epochs is a value and has no settings"),
        ("search.epochs=0", "greater than or equal to 1"),
        ("search.epochs=1.5", "whole number"),
        ("search.epochs=2.0", "whole number"),
        ("search.epochs=true", "whole number"),
        ("search.epochs=many", "whole number"),
        ("shots=-1", "greater than or equal to 1"),
        ("seed=-1", "greater than or equal to 0"),
        ("evaluate.uniform_length=-4", "greater than or equal to 0"),
        ("space.towers.image.lengths=[0, -2]", "whole numbers of 0 or more, not -2"),
        ("search.validation=test", "'split' or 'extra'"),
        ("train.optimizer.name=lamb", "'sgd', 'adam' or 'adamw'"),
        ("search.epochs", "expected KEY=VALUE, found 'search.epochs'"),
        ("=3", "expected KEY=VALUE"),
        (".=1", "a KEY such as search.epochs, found '.=1'"),
        ("search..epochs=1", "a KEY such as search.epochs"),
        ("strategy=darts", "found strategy='darts': choose a strategy with --strategy"),
        ("space=mini_clip", "a single setting such as space.towers.image.lengths=VALUE"),
        ("search=3", " search: expected a mapping of settings (found 3)"),
        ("search.epochs=[", "not valid YAML"),
    ],
)
def test_bad_overrides(override: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(override)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_problem_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("search.epochs=0", "train.epochs=-1", "bogus=1")
    for part in (" search.epochs: ", " train.epochs: ", "unknown setting bogus"):
        assert part in str(caught.value)


def test_unknown_names() -> None:
    with pytest.raises(SpaceError, match="unknown space 'clip'"):
        resolve("mini/digits", "clip", "darts")
    with pytest.raises(StrategyError, match=r"unknown strategy 'dart'.*did you mean darts"):
        resolve("mini/digits", "mini_clip", "dart")


def test_values_are_yaml() -> None:
    assert parse_overrides(["a=1", "b=0.5", "c=text", "d=[1, 2]", "e=", "f=a=b"]) == {
        "a": 1,
        "b": 0.5,
        "c": "text",
        "d": [1, 2],
        "e": None,
        "f": "a=b",
    }


def test_the_released_recipe() -> None:
    """The released code's numbers (arXiv 2501.00457 and its repository)."""
    search = load_strategy("darts_released").search
    assert (search.epochs, search.batch_size, search.validation_batch_size) == (80, 4, 16)
    assert (search.alphas.lr, search.alphas.betas) == (0.0035, (0.5, 0.999))
    assert search.alphas.init_sd == 1e-3
    assert (search.prompts.name, search.prompts.lr) == ("sgd", 0.0035)
    assert (search.prompts.momentum, search.prompts.weight_decay) == (0.9, 5e-4)
    assert (search.init.image.distribution, search.init.image.scale) == ("normal", 1)
    assert (search.init.text.distribution, search.init.text.scale) == ("uniform", 1)
    assert search.validation == "extra"
    train = load_strategy("darts_released").train
    assert (train.epochs, train.batch_size) == (40, 4)
    assert (train.init.image.scale, train.init.text.scale) == (0.02, 0.02)
    assert train.template == "mean_embedding"


def fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """All fields of a configuration, also of each strategy."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field
        for part in leaves(field.annotation):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                yield from fields(part)


def leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    yield from (leaf for each in inner for leaf in leaves(each)) if inner else (annotation,)


def every_field() -> dict[str, FieldInfo]:
    models = (RunConfig, PretrainSettings, *(known.settings for known in STRATEGIES.values()))
    return {name: field for model in models for name, field in fields(model)}


@pytest.mark.parametrize("name", every_field())
def test_no_value_is_taken_for_another(name: str) -> None:
    """What YAML reads as a text is no number, and only true and false are truths."""
    field = every_field()[name]
    kinds = set(leaves(field.annotation)) & {bool, int, float}
    for kind in kinds:
        single = TypeAdapter(Annotated[field.annotation, field])
        wrong = {bool: ("on", "true", 1, 0), int: ("1", True, 1.0), float: ("1_000", "1", True)}
        for value in wrong[kind]:
            for given in (value, [value, value], (value,) * 3):
                with pytest.raises(ValidationError):
                    single.validate_python(given)
