"""The command line, ``dpl-nas``: one file a subcommand."""

from __future__ import annotations

from dpl_nas.cli.app import main

__all__ = ["main"]
