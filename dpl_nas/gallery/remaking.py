"""Making of a shipped file again, from a command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dpl_nas.errors import DplError
from dpl_nas.io.home import expand_home

__all__ = ["remake"]


def remake(
    module: str,
    about: str | None,
    make: Callable[[Path, Path], Mapping[str, str]],
    read_shipped: Callable[[], Mapping[str, str]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Make files from packages, say of each whether it is the one that ships; the exit code.

    Parameters
    ----------
    module, about
        Name and description of the module that is run.
    make
        Takes the folder of the packages and the folder to write to; returns the hashes of the
        files that it has written, by name.
    read_shipped
        Returns the hashes of the files that ship, by name.
    arguments
        The command line; by default that of the program.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--packages", type=_path, required=True, help="folder of the packages")
    parser.add_argument("--out", type=_path, required=True, help="folder to write to")
    settings = parser.parse_args(arguments)
    try:
        shipped = read_shipped()
        made = make(settings.packages, settings.out)
    except DplError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for name, digest in made.items():
        same = "as shipped" if shipped.get(name) == digest else "not as shipped"
        sys.stdout.write(f"{name}  {digest}  {same}\n")
    return 0


def _path(text: str) -> Path:
    try:
        return Path(expand_home(text))
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
