"""``~`` at the beginning of a path: the home folder, as shells read it."""

from __future__ import annotations

import os

__all__ = ["expand_home"]


def expand_home(path: str) -> str:
    """Return ``path`` with the home folder in the place of a leading ``~`` or ``~user``.

    Shells do so only at the beginning of a word, not in ``--data=~/images``.

    Raises
    ------
    ValueError
        If there is no such home folder.
    """
    if not path.startswith("~"):
        return path
    try:
        found = os.path.expanduser(path)  # noqa: PTH111 - Path would drop what else was typed
    except ValueError:  # no user has such characters in their name
        found = path
    if found.startswith("~"):
        user = path.partition("/")[0]
        raise ValueError(
            f"expected a path, and there is no home folder {user:.50}: give the whole path, or "
            f"./{user:.50} for what has this name here"
        )
    return found
