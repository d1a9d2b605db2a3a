import pytest

from dpl_nas.io.yaml_values import NotYamlError, parse_yaml


def test_merged_keys_are_not_twice() -> None:
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\n"
    assert parse_yaml(text)["mine"] == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["!!int x", "!!int ''", "!!str 1", "9" * 5000, "{[1]: 2}", "a: ["])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(NotYamlError) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_a_few_lines_that_stand_for_very_much() -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(NotYamlError, match="stands for too many values: use fewer aliases"):
        parse_yaml("\n".join(lines))
