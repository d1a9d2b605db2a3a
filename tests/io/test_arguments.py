from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.io.arguments import check_arguments, check_whole, checked


class Answer:
    pass


@checked(TaskError)
def ask(
    name: str | Path,
    count: int = 1,
    *,
    share: float = 0.5,
    loud: bool = False,
    kind: Literal["a", 1] = "a",
    answer: Answer | None = None,
    rows: Sequence[int] = (),
    more: Mapping[str, Any] | None = None,
    then: Callable[[], None] | None = None,
) -> str:
    """Ask."""
    return f"{name} {count} {share} {loud} {kind} {answer} {rows} {more} {then}"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("x",), {}),
        ((Path("x"), 3), {"share": 1, "loud": True, "kind": 1, "answer": Answer()}),
        (("x",), {"rows": range(3), "more": {}, "then": print}),
    ],
)
def test_what_annotations_allow_passes(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert ask(*values, **named).startswith("x ")
    assert ask.__name__ == "ask"


@pytest.mark.parametrize(
    ("values", "named", "sentence"),
    [
        ((), {}, "ask: missing a required argument: 'name'"),
        (("x",), {"cuont": 2}, "ask: got an unexpected keyword argument 'cuont'"),
        (("x", 1, 2), {}, "ask: too many positional arguments"),
        ((3,), {}, "ask: name should be a text or a path, found 3"),
        # To Python, this is the working directory.
        (("",), {}, "ask: name should be a text or a path, found ''"),
        (("x", True), {}, "ask: count should be a whole number, found True"),
        (("x", 2.0), {}, "ask: count should be a whole number, found 2.0"),
        (("x",), {"share": "1"}, "ask: share should be a number, found '1'"),
        (("x",), {"loud": 1}, "ask: loud should be True or False, found 1"),
        (("x",), {"kind": True}, "ask: kind should be 'a' or 1, found True"),
        (("x",), {"answer": Answer}, "ask: answer should be an Answer or None, found <class"),
        (("x",), {"rows": "12"}, "ask: rows should be a Sequence, found '12'"),
        (("x",), {"more": [1]}, "ask: more should be a Mapping or None, found [1]"),
        (("x",), {"then": 1}, "ask: then should be a Callable or None, found 1"),
    ],
)
def test_what_annotations_forbid_is_one_sentence(
    values: tuple[Any, ...], named: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TaskError) as caught:
        ask(*values, **named)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_path_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    @checked(TaskError)
    def read(path: Path, other: Path | str | None = None, *, text: str = "") -> tuple[Any, ...]:
        return path, other, text

    assert read(Path("~/a"), "~/b", text="~/c") == (Path("/home/me/a"), "/home/me/b", "~/c")
    assert read(Path("a"), other=Path("~")) == (Path("a"), Path("/home/me"), "")
    with pytest.raises(TaskError, match="other: expected a path, and there is no home folder"):
        read(Path("a"), "~nobody-here/b")


def test_an_error_of_the_function_itself_passes() -> None:
    @checked()
    def fail() -> None:
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        fail()


def test_another_name_may_be_told() -> None:
    with pytest.raises(ConfigError, match="search: name should be"):
        check_arguments(ask, (3,), {}, name="search")


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
def test_whole_numbers(value: object) -> None:
    with pytest.raises(ConfigError, match="shots should be a whole number of 1 or more, found"):
        check_whole("shots", value, 1)
    check_whole("shots", 1, 1)
