import pickle

from dpl_nas.errors import ConfigError, join_lines, shorten


def test_the_middle_of_what_is_long_is_left_out() -> None:
    assert shorten("short") == "short"
    text = shorten("begin" + "x" * 100_000 + "end", 50)
    assert len(text) <= 50
    assert text.startswith("begin")
    assert text.endswith("end")


def test_no_sentence_is_very_long() -> None:
    error = ConfigError(f"{'x' * 100_000} is too long: use less")
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert len(str(each)) <= 1500
        assert str(each).endswith("is too long: use less")


def test_lines_become_one() -> None:
    assert join_lines("a  b\n  c\r\n\n d \x0b e\n") == "a  b c d e"
