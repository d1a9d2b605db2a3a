"""Safe printing of foreign text, such as names of folders."""

from __future__ import annotations

__all__ = ["make_printable"]


def make_printable(text: str) -> str:
    """Return ``text`` with escapes for control characters and invalid characters.

    Line ends, escape sequences, marks that change the direction of writing and invalid bytes
    could hide the text that follows, or crash the program that writes it.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
