import pytest

from dpl_nas.cli.named import by_owner, whole_numbers
from dpl_nas.errors import ConfigError


def test_the_longest_owner_is_meant() -> None:
    settings = ["dpl.length=2", "dpl+maple.length=3", "dpl.more.length=4", "shots=4"]
    assert by_owner(settings, ["dpl", "dpl+maple", "dpl.more"]) == {
        "": ["shots=4"],
        "dpl": ["length=2"],
        "dpl+maple": ["length=3"],
        "dpl.more": ["length=4"],
    }


def test_a_value_is_no_owner() -> None:
    assert by_owner(["a=dpl.b"], ["dpl"])[""] == ["a=dpl.b"]


def test_numbers_with_commas_or_spaces() -> None:
    assert whole_numbers("1,2 3", "--seeds") == [1, 2, 3]
    assert whole_numbers(["1", "2"], "--seeds") == [1, 2]


@pytest.mark.parametrize("text", ["", "1,1", "few", "-1", "1.5", "9" * 200])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds must be different whole numbers"):
        whole_numbers(text, "--seeds")
