import pytest

from dpl_nas.comparison.formats import accuracy, counted, each, number, p_value, points, time
from dpl_nas.comparison.statistics import estimate
from dpl_nas.comparison.tables import escape


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.81234, "81.2"),
        (-0.0123, "\N{MINUS SIGN}1.2"),
        (-0.0001, "0.0"),
        (None, "-"),
        (1, "100.0"),
    ],
)
def test_points(share: float | None, text: str) -> None:
    assert points(share) == text


def test_estimates() -> None:
    assert accuracy(estimate([0.5])) == "50.0"
    assert accuracy(estimate([0.5, 0.6])) == "55.0 \N{PLUS-MINUS SIGN} 63.5"
    assert accuracy(estimate([])) == each(estimate([])) == "-"
    assert each(estimate([0.5, 0.6])) == "50.0 60.0"


def test_numbers() -> None:
    assert (p_value(0.0009), p_value(0.05), p_value(None)) == ("< 0.001", "0.050", "-")
    assert (number(12345.6), number(-0.5, 2), number(None)) == ("12,346", "\N{MINUS SIGN}0.50", "-")
    assert (counted(1, "pair"), counted(2, "pair")) == ("1 pair", "2 pairs")
    assert [time(s) for s in (1.25, 51, 600, 8000)] == ["1.2 s", "51 s", "10 min", "2.2 h"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mini_clip", "mini_clip"),
        ("_x_", "\\_x\\_"),
        ("a|b *c* `d`", "a\\|b \\*c\\* \\`d\\`"),
        ("p < 0.001 <b>", "p < 0.001 \\<b>"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown
