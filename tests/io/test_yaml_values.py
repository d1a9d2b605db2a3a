import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.io.yaml_values import NotYamlError, abbreviate, dump_yaml, parse_yaml


def test_merged_keys_are_not_twice() -> None:
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\n"
    assert parse_yaml(text)["mine"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2020-01-02", "2020-01-02"),
        ("2020-13-45", "2020-13-45"),
        ("1_000", "1_000"),
        ("=", "="),
        ("010", 10),
        ("0o17", 15),
        ("0x1f", 31),
        ("+5", 5),
        ("1e-3", 0.001),
        ("2.5e+6", 2.5e6),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("True", True),
        ("", None),
        ("~", None),
        ("'5'", "5"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("!!int x", "line 1 has the tag !!int: remove it"),
        ("!!str 1", "has the tag !!str"),
        ("!!python/object/apply:os.system [ls]", "has the tag"),
        ("! x", "has the tag !"),
        ("9" * 5000, "has more than 100 characters"),
        ("0x" + "f" * 5000, "has more than 100 characters"),
        ("a: 1e400", "is too large"),
        ("{[1]: 2}", "a list or a mapping as a key"),
        ("a: 1\n2020: b", "line 2 has the key 2020, which is a number to YAML: put it in quotes"),
        ("true: b", "which is true or false to YAML: put it in quotes, as 'true'"),
        ("{<<: {1: 2}}", "the key 1, which is a number"),
        ("a: [", "line 1, column 5 does not go on as expected: check colons, quotes, brackets"),
        ("[" * 5000, "nested too deeply"),
        ("&a [*a]", "too many values"),
        ("a: &a {b: *a}", "too many values"),
        ("\n".join(["- &a0 [x]", *(f"- &a{n} [*a{n - 1}]" for n in range(1, 99))]), "too many"),
        ("*" + "b" * 100_000, "undefined alias"),
        ("!" + "b" * 100_000 + " 1", "has the tag !b"),
        ("{" + "b" * 100_000 + ": 1, " + "b" * 100_000 + ": 1}", ""),
        ("\0", "character 1 is a control character"),
    ],
)
def test_what_is_no_value(text: str, complaint: str) -> None:
    with pytest.raises(NotYamlError) as caught:
        parse_yaml(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350


def test_a_few_lines_that_stand_for_very_much() -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(NotYamlError, match="expands to too many values: use fewer aliases"):
        parse_yaml("\n".join(lines))
    much: list[Any] = ["x"] * 10
    for _ in range(12):
        much = [much] * 10
    assert len(abbreviate(much)) <= 60


def test_numbers_that_python_does_not_print() -> None:
    assert abbreviate([10**5000]) == "[a number of many digits]"
    assert abbreviate(10**9) == "1000000000"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**20), 10**20)
        | st.floats(allow_nan=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
        | st.from_regex(r"\A[-+.0-9eExoXn_:~<=yNf]{1,6}\Z"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_what_is_dumped_means_the_same_in_either_version(value: Any) -> None:
    assert parse_yaml(dump_yaml(value)) == value
    assert yaml.safe_load(dump_yaml(value)) == value
