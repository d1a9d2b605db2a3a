from typing import Any

import pytest

from dpl_nas.config import parse_overrides, resolve, without_replaced
from dpl_nas.errors import ConfigError
from dpl_nas.search_budget import SearchBudget


def test_values_are_those_of_yaml_1_2() -> None:
    assert parse_overrides(["a=no", "b=1e-3", "c=1:30", "d={x: on}", "e=2020-01-02"]) == {
        "a": "no",
        "b": 0.001,
        "c": "1:30",
        "d": {"x": "on"},
        "e": "2020-01-02",
    }


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("seed=!!timestamp x", "the value of seed is not valid YAML: line 1 has the tag"),
        ("shots=0x" + "f" * 5000, "more than 100 characters"),
        ("space.towers.image.lengths=[0, 1" + "0" * 400 + "]", "more than 100 characters"),
        ("space.towers.image.lengths=[0, 1" + "0" * 90 + "]", "whole numbers up to 1000"),
        ("strategy.strategy={a: 1}", "strategy.strategy: input should be a valid string"),
        ("strategy.strategy=[darts]", "strategy.strategy: input should be a valid string"),
        ("train.optimizer.lr=" + "1:" * 200 + "1.5", "expected a number"),
        ("space.max_flops=1_000_000", "space.max_flops: expected a number (found '1_000_000')"),
        ("space.shared_vectors=on", "space.shared_vectors: expected true or false (found 'on')"),
        ("space.shared_vectors=1", "space.shared_vectors: expected true or false (found 1)"),
        ("space.backbone.quick_gelu=1", "space.backbone.quick_gelu: expected true or false"),
        ("strategy.max_failed=true", "strategy.max_failed: expected a number"),
        ("train.optimizer.lr=.inf", "train.optimizer.lr"),
        ("search={1: 2}", "put it in quotes"),
        ("x" * 100_000, "expected KEY=VALUE"),
        ("x" * 100_000 + "=1", "unknown setting"),
        ("search." + "x" * 100_000 + "=1", "unknown setting"),
        ("shots.x=" + "y" * 100_000, "shots: expected a whole number"),
        ("task=" + "[" * 100_000, "nested too deeply"),
        ("shots=" + "x" * 100_000, "whole number"),
    ],
)
def test_bad_values(override: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("mini/digits", "mini_clip", "darts", [override])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


BUDGET = SearchBudget(trials=5)


@pytest.mark.parametrize(
    ("settings", "overrides", "complaint"),
    [
        ({"shots": 4}, ["shots=8"], "shots is given twice, as 4 and as 8: give it once"),
        ({"seed": 1}, ["seed=true"], "seed is given twice, as 1 and as True"),
        ({"budget": BUDGET}, ["budget.trials=6"], "budget.trials is given twice, as 5 and as 6"),
        ({}, ["task=mini/letters"], "task is given twice, as 'mini/digits' and as 'mini/letters'"),
        ({}, ["shots=8", "shots=9"], "shots is given twice, as 8 and as 9"),
        ({}, ["search.epochs=3", "strategy.search.epochs=4"], "epochs is given twice, as 3 and as"),
        ({}, ["search.epochs=3", "search={epochs: 4}"], "search.epochs is given twice, as 3"),
        ({}, ["search={epochs: 4}", "search.epochs=3"], "search.epochs is given twice, as 4"),
        ({}, ["search.epochs=3", "search={batch_size: 4}"], "3 and within another setting"),
        ({}, ["search.early_stop=null", "search.early_stop.patience=3"], "None and as {'patience"),
    ],
)
def test_a_setting_has_one_value(
    settings: dict[str, Any], overrides: list[str], complaint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("mini/digits", "mini_clip", "darts", overrides, **settings)
    assert complaint in str(caught.value)


def test_a_setting_may_be_given_again() -> None:
    overrides = [
        "shots=8",
        "shots=8",
        "search={epochs: 3}",
        "search.batch_size=4",
        "budget.steps=9",
    ]
    config = resolve("mini/digits", "mini_clip", "darts", overrides, shots=8, budget=BUDGET)
    assert config.shots == 8
    assert config.strategy.search.model_dump()["batch_size"] == 4
    assert config.budget == SearchBudget(trials=5, steps=9)


def test_what_is_replaced_goes() -> None:
    overrides = ["train.epochs=3", "shots=4", "strategy.search.epochs=5"]
    assert without_replaced(overrides, ["strategy.train.epochs", "search.epochs"]) == ["shots=4"]


@pytest.mark.parametrize("length", [7, 1])
def test_the_manual_design_has_a_length_of_the_space(length: int) -> None:
    offers = (
        "space.towers={image: {layers: 0-3, lengths: [0, 4]}, text: {layers: 0-3, lengths: 0-0}}"
    )
    given = f"evaluate.uniform_length={length}"
    with pytest.raises(ConfigError, match=rf"offers \(image 0, 4; text 0\), found {length}"):
        resolve("mini/digits", "mini_clip", "darts", [offers, given])
    # The default is not a length that somebody asked for.
    none = offers.replace("4", "2")
    assert resolve("mini/digits", "mini_clip", "darts", [none]).evaluate.uniform_length is None
