from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import TaskError
from dpl_nas.tasks.names import check_class_name, check_place, check_text, spaced, tell_names


def test_long_lists_are_short() -> None:
    assert tell_names(["a", "b"]) == "'a', 'b'"
    assert tell_names("abcdef") == "'a', 'b', 'c', 'd' and 2 more"
    one, two = tell_names(["x" * 500 + "1"]), tell_names(["x" * 500 + "2"])
    assert one != two
    assert len(one) < 80


@pytest.mark.parametrize(
    "place", ["", "/etc/passwd", "../x.png", "a/../x.png", "a/..", "a\x1b.png"]
)
def test_paths_that_leave_their_folder(place: str) -> None:
    with pytest.raises(TaskError, match="some list"):
        check_place(place, "some list")


@pytest.mark.parametrize(
    "place", ["a.png", "a b/c..d.png", "..a/b.png", "\u00a0/\u2019.png", "./a.png"]
)
def test_paths_below_their_folder(place: str) -> None:
    check_place(place, "some list")


@given(st.text())
def test_a_path_that_passes_stays_below(place: str) -> None:
    try:
        check_place(place, "some list")
    except TaskError:
        return
    root = Path("/root/images")
    assert Path(f"{root}/{place}".replace("/./", "/")).parts[:3] == root.parts
    assert ".." not in Path(place).parts


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a\nb", "\ud800"])
def test_names_of_classes_that_say_nothing(name: str) -> None:
    with pytest.raises(TaskError, match="some list"):
        check_class_name(name, "some list")


def test_names_are_spaced_for_captions() -> None:
    assert spaced("sweet_pea") == "sweet pea"


def test_text_is_told_printably() -> None:
    with pytest.raises(TaskError, match=r"found 'a\\x1b'"):
        check_text("a\x1b", "it")


def test_names_that_differ_look_different() -> None:
    assert tell_names(["a b", "a  b", " a"]) == r"'a b', 'a \x20b', ' a'"
    assert tell_names(["caf\u00e9", "cafe\u0301"]) == r"'caf\u00e9', 'cafe\u0301'".replace(
        r"\u00e9", "\u00e9"
    )
    assert tell_names(["\u0939\u093f\u0902\u0926\u0940"]) == "'\u0939\u093f\u0902\u0926\u0940'"
