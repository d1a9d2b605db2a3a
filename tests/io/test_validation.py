import pytest
from pydantic import Field, ValidationError

from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.io.validation import Frozen, problems_of, validate


class Inner(Frozen):
    rate: float = Field(default=0.1, gt=0)


class Outer(Frozen):
    inner: Inner = Inner()
    name: str


def test_every_problem_is_in_one_sentence() -> None:
    data = {"inner": {"rate": -1, "rte": 2}}
    with pytest.raises(ConfigError) as caught:
        validate(Outer, data, "settings", ConfigError)
    sentence = str(caught.value)
    assert sentence.startswith("settings: ")
    assert "inner.rate: input should be greater than 0 (found -1)" in sentence
    assert "unknown key inner.rte" in sentence
    assert "name: field required" in sentence
    assert "\n" not in sentence
    assert "http" not in sentence


def test_problems_one_by_one() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"name": 3, "more": 1})
    assert problems_of(caught.value) == [
        "name: input should be a valid string (found 3)",
        "unknown key more",
    ]
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"name": "a", "inner": 1, "": 2})
    assert problems_of(caught.value) == [
        "inner: expected a mapping of settings (found 1)",
        "unknown key ''",
    ]


def test_values_are_frozen() -> None:
    value = validate(Outer, {"name": "a"}, "settings", ConfigError)
    assert value == Outer(name="a")
    with pytest.raises(ValidationError, match="frozen"):
        value.name = "b"  # type: ignore[misc]


def test_long_input_is_shortened() -> None:
    long = "x" * 100_000
    for data in ({long: 1, "name": "a"}, {"name": [long] * 1000}, {"name": 10**5000}, {"": long}):
        with pytest.raises(ConfigError) as caught:
            validate(Outer, data, "settings", ConfigError)
        assert len(str(caught.value)) < 500


class Named(Frozen):
    error_class = TaskError

    inner: Inner = Inner()


def test_constructors_raise_one_sentence() -> None:
    with pytest.raises(
        ConfigError, match=r"^Inner: rate: input should be greater than 0 \(found -1"
    ):
        Inner(rate=-1)
    with pytest.raises(
        ConfigError, match=r"^Inner takes settings by name, such as rate=\.\.\., found 3"
    ):
        Inner(3)  # type: ignore[call-arg]
    with pytest.raises(TaskError, match=r"^Named: inner\.rate: input"):
        Named(inner={"rate": -1})  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Named.model_validate({"inner": {"rate": -1}})
