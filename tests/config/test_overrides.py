import pytest

from dpl_nas.config import parse_overrides, resolve
from dpl_nas.errors import ConfigError


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
        ("train.optimizer.lr=" + "1:" * 200 + "1.5", "should be a valid number"),
        ("train.optimizer.lr=.inf", "train.optimizer.lr"),
        ("search={1: 2}", "put it in quotes"),
        ("x" * 100_000, "expected KEY=VALUE"),
        ("x" * 100_000 + "=1", "unknown key"),
        ("search." + "x" * 100_000 + "=1", "unknown key"),
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
