"""Safe printing of foreign text, such as names of folders."""

from __future__ import annotations

__all__ = ["make_printable", "plain_cell"]


def make_printable(text: str) -> str:
    """Return ``text`` with escapes for control characters and invalid characters.

    Line ends, escape sequences, marks that change the direction of writing and invalid bytes
    could hide the text that follows, or crash the program that writes it.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


#: What spreadsheets take for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}")


def plain_cell(text: str) -> str:
    """Return a text for a table that spreadsheets open: it is no formula, even after blanks."""
    text = make_printable(text)
    return f"'{text}" if text.lstrip()[:1] in _FORMULAS else text
