"""Text of other people, such as names of folders, where it could do more than be read."""

from __future__ import annotations

__all__ = ["make_printable"]


def make_printable(text: str) -> str:
    """``text`` with a backslash and a code for what terminals obey and files cannot hold.

    Line ends, escape sequences, marks that turn the direction of writing, and bytes that are no
    characters would hide what follows, or end a program that writes it.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
