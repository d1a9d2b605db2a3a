"""A job at the terminal: its progress on stderr, its result on stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from dpl_nas.cli.progress import ConsoleObserver
from dpl_nas.errors import DplWarning
from dpl_nas.observer import Observer

__all__ = ["console", "job", "print_json"]

#: Libraries whose remarks are not about the user's run.
_CHATTER = (
    "huggingface_hub",
    "nni",
    "pytorch_lightning",
    "lightning",
    "lightning.pytorch",
    "matplotlib",
    "torch",
)


def console() -> Console:
    """For results; where stdout is a file, nothing is cut off."""
    # Names of folders and classes are not markup: [/b] or :cat: may be part of them.
    width = None if sys.stdout.isatty() else 1000
    return Console(width=width, soft_wrap=True, markup=False, emoji=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


@contextmanager
def job(
    *, quiet: bool = False, folder: Path | None = None, goes_on: str = ""
) -> Iterator[Observer]:
    """Watch a long piece of work; nothing that it prints reaches stdout.

    Yields the observer to hand to the work. After Ctrl-C the program exits with code 130 and
    says how the run in ``folder`` goes on, or ``goes_on``.
    """
    with ExitStack() as stack:
        stack.enter_context(_stdout_kept_clean())
        stack.enter_context(_libraries_silenced())
        observer = Observer() if quiet else stack.enter_context(ConsoleObserver())
        try:
            yield observer
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning turns Ctrl-C into sys.exit(1).
            if not isinstance(stop, KeyboardInterrupt) and not isinstance(
                stop.__context__, KeyboardInterrupt
            ):
                raise
            stack.close()
            hint = f"the same command with --resume goes on with {folder}" if folder else goes_on
            sys.stderr.write(f"interrupted{hint and f'; {hint}'}\n")
            raise typer.Exit(130) from None


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Send what Python, its children and C libraries write to stdout to stderr instead."""
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        with suppress(OSError, ValueError):  # under test, or started without a stdout
            if sys.__stdout__ is not None:
                sys.__stdout__.flush()
            kept = os.dup(1)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 1)
            os.dup2(2, 1)
        yield


@contextmanager
def _libraries_silenced() -> Iterator[None]:
    """Keep warnings and remarks of libraries out, unless Python was told to warn (-W).

    Their errors reach us as exceptions.
    """
    levels = {name: logging.getLogger(name).level for name in _CHATTER}
    hook = threading.excepthook
    # TensorBoard writes in a thread of its own, and raises what happened there again in ours.
    threading.excepthook = _only_defects
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", DplWarning)
            for name in _CHATTER:
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            threading.excepthook = hook
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _only_defects(problem: threading.ExceptHookArgs) -> None:
    if not isinstance(problem.exc_value, OSError):
        threading.__excepthook__(problem)
