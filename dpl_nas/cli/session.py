"""A job at the terminal: its progress on stderr, its result on stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from dpl_nas.console import ConsoleObserver, QuietObserver, screen_claimed
from dpl_nas.io.text import make_printable
from dpl_nas.observer import Observer
from dpl_nas.process.notes import let_notes_through
from dpl_nas.process.signals import ended_by_signals

__all__ = ["console", "job", "print_json"]

#: Libraries that log remarks which are not about the user's run.
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
    """The console for results; if stdout is a file, nothing is cut off."""
    # Names of folders and classes are not markup: [/b] or :cat: may be part of them.
    width = None if sys.stdout.isatty() else 1000
    return Console(width=width, soft_wrap=True, markup=False, emoji=False)


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print an object, or a list of them, as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


@contextmanager
def job(
    *, quiet: bool = False, folder: Path | None = None, goes_on: str = ""
) -> Iterator[Observer]:
    """Watch a long piece of work; nothing that it prints reaches stdout.

    Yields the observer to hand to the work. If a signal ends the program, its last line says how
    the run in ``folder`` goes on, or ``goes_on``.
    """
    hint = f"give the same command with --resume to go on with {folder}" if folder else goes_on
    said = f"interrupted{hint and f'; {make_printable(hint)}'}\n"
    with ExitStack() as stack:
        stack.enter_context(_stdout_kept_clean())
        stack.enter_context(_libraries_silenced())
        stack.enter_context(screen_claimed())
        watching = QuietObserver() if quiet else stack.enter_context(ConsoleObserver())
        stack.enter_context(ended_by_signals(lambda: watching.left() + said))
        yield watching


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

    Their errors arrive as exceptions.
    """
    levels = {name: logging.getLogger(name).level for name in _CHATTER}
    hook = threading.excepthook
    # TensorBoard writes in its own thread, and raises the errors of that thread again in ours.
    threading.excepthook = _only_defects
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            let_notes_through()
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
