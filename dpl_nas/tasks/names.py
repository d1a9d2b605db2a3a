"""Names of classes and files: checked where they are read, shortened where they are told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from dpl_nas.errors import TaskError
from dpl_nas.io.suggestions import closest
from dpl_nas.io.text import make_printable

__all__ = [
    "check_class_name",
    "check_place",
    "check_text",
    "look_alikes",
    "spaced",
    "tell_names",
    "unknown_task",
]

#: Largest number of names that are listed.
_TOLD = 4
#: Largest number of characters of each.
_CHARACTERS = 60

#: Control characters, halves of characters, and ends of lines and paragraphs.
_NOT_TEXT = {"Cc", "Cs", "Zl", "Zp"}


def check_text(text: str, what: str) -> None:
    """Raise an error for invalid or control characters.

    Raises
    ------
    TaskError
        If the text has such characters.
    """
    if any(unicodedata.category(each) in _NOT_TEXT for each in text):
        raise TaskError(
            f"{what} must be UTF-8 without control characters, found "
            f"'{make_printable(text):.100}': give another one"
        )


def tell_names(names: Iterable[str]) -> str:
    """Return the first few names and the number of the others; names that differ look different."""
    every = [f"'{_short(_distinct(make_printable(name)))}'" for name in names]
    more = len(every) - _TOLD
    return ", ".join(every[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def _distinct(name: str) -> str:
    """Escape what looks alike in names that differ: further blanks and other Unicode forms."""
    shown = re.sub("(?<= ) ", r"\\x20", name)
    if unicodedata.is_normalized("NFC", shown):
        return shown
    return "".join(
        each if each.isascii() else each.encode("unicode_escape").decode("ascii") for each in shown
    )


def _short(name: str) -> str:
    # Names that differ may do so at their ends.
    half = _CHARACTERS // 2
    return name if len(name) <= _CHARACTERS else f"{name[:half]}...{name[-half:]}"


def look_alikes(names: Sequence[str]) -> list[str]:
    """Return the names that look like another one, or are the same."""
    counts = Counter(map(_visible, names))
    return [name for name in dict.fromkeys(names) if counts[_visible(name)] > 1]


def _visible(name: str) -> str:
    """Return what is seen of a name: one Unicode form, without characters of no width."""
    composed = unicodedata.normalize("NFC", name)
    return "".join(each for each in composed if unicodedata.category(each) != "Cf")


def spaced(name: str) -> str:
    """Return ``name`` with spaces for underscores, as captions have it."""
    return name.replace("_", " ")


def check_class_name(name: str, source: str) -> None:
    """Raise an error unless ``name`` is text that shows something.

    Parameters
    ----------
    source
        The file or folder that the name is from.

    Raises
    ------
    TaskError
        If it is empty, blank, or has control characters.
    """
    check_text(name, f"{source}: the name of a class")
    if not any(each.isprintable() and not each.isspace() for each in name):
        raise TaskError(f"{source}: a class has an empty name: give it one")


def check_place(place: str, source: str) -> None:
    """Raise an error unless ``place`` is the path of a file below the folder of the images.

    Raises
    ------
    TaskError
        If it is empty, absolute, leaves the folder, or has control characters.
    """
    if not place.isprintable():
        check_text(place, f"{source}: the path of an image")
    if not place or place[0] == "/" or (".." in place and ".." in place.split("/")):
        raise TaskError(
            f"{source}: expected paths of images below its folder, found "
            f"'{make_printable(place):.100}': correct the file"
        )


def unknown_task(name: str, known: Iterable[str], looked: str = "") -> TaskError:
    """Return the error for a name that is none of the ``known`` tasks; it tells the closest.

    Parameters
    ----------
    looked
        Folder in which it is not found either, if it may be a path.
    """
    close = closest(name, known)
    hint = f"did you mean {close}? " if close else ""
    where = f", and no file or folder in {make_printable(looked)}" if looked else ""
    return TaskError(
        f"unknown task '{make_printable(name):.100}'{where}: {hint}dpl-nas tasks lists all of them"
    )
