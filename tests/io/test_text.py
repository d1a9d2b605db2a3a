import pytest

from dpl_nas.io.text import make_printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Käse [b] $x$ 猫", "Käse [b] $x$ 猫"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("caf\udce9", r"caf\udce9"),
        ("txt\u202egnp", r"txt\u202egnp"),
    ],
)
def test_nothing_but_text_is_left(text: str, shown: str) -> None:
    assert make_printable(text) == shown
    shown.encode()
