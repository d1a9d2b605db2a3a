"""The command line, ``dpl-nas``: one file a subcommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from dpl_nas.process.signals import ended_by_signals, ignore_signals

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit: 0, 2 for bad input, or 128 and the signal that ended it.

    Parameters
    ----------
    arguments
        Arguments of the program. By default those of this process, which then belongs to the
        program: its streams are made ready for anything, and it ends quietly.
    """
    own = arguments is None
    with ended_by_signals(lambda: "interrupted\n"):
        # Signals are handled before anything that is slow to import.
        if own:
            from dpl_nas.cli.streams import open_streams

            open_streams()
        from dpl_nas.cli.app import run_app

        code = run_app(arguments)
        if own:
            # All is said and done.
            ignore_signals()
    sys.exit(code)
