from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.io.home import expand_home


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("~", "/home/me"),
        ("~/images", "/home/me/images"),
        ("~/a/~/b", "/home/me/a/~/b"),
        ("./~/images", "./~/images"),
        ("images~", "images~"),
        ("", ""),
    ],
)
def test_the_home_folder_is_put_at_the_beginning(typed: str, path: str) -> None:
    assert expand_home(typed) == path


def test_that_of_another_user() -> None:
    assert expand_home("~root/x") == f"{Path('~root').expanduser()}/x"


@pytest.mark.parametrize("typed", ["~nobody-here/x", "~nul\0/x", "~half\udc80\ud800/x"])
def test_no_home_folder_is_one_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match="there is no home folder ~"):
        expand_home(typed)


@given(st.text())
def test_no_path_begins_with_it_any_more(typed: str) -> None:
    try:
        path = expand_home(typed)
    except ValueError:
        assert typed.startswith("~")
    else:
        assert not path.startswith("~")
