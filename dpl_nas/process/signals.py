"""Signal handling: a process ends at once, with the exit code that shells expect."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["die_of_signals", "ended_by_signals", "ignore_signals", "sigterm_kept"]

#: Ctrl-C, `kill` (also by timeout, systemd, docker and SLURM), a closed terminal.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Parts of the command lines of the processes that multiprocessing starts.
_POOLS = (b"--multiprocessing-fork", b"multiprocessing.forkserver")


@contextmanager
def ended_by_signals(last_words: Callable[[], str]) -> Iterator[None]:
    """End the process at once on a signal, with exit code 130, 143 or 129.

    No exception is raised: it would be lost in a callback, or leave a module half-imported.
    Files are whole at any moment, as after a kill -9, and child processes end with this one.
    A signal that is already ignored (nohup, a background job of a shell) stays ignored.

    Parameters
    ----------
    last_words
        Text to print on stderr.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python allows this in the main thread only.
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        ignore_signals()
        with suppress(Exception):
            # Unbuffered: the interrupted code may be using Python's own buffer.
            os.write(2, last_words().encode(errors="backslashreplace"))
        _kill_pools()
        _remove_sockets()
        os._exit(128 + number)

    before = {each: signal.getsignal(each) for each in _ENDING}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            # None: it was not set from Python, which cannot put it back.
            if handler is not None and signal.getsignal(each) is end:
                signal.signal(each, handler)


def ignore_signals() -> None:
    """Ignore signals that would end the process: it is about to end by itself."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)


def die_of_signals() -> None:
    """Let SIGTERM end a pool's process at once, and leave Ctrl-C to its parent.

    Lightning leaves SIGTERM alone only if a handler is set.
    """
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _die)


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Keep the default action of SIGTERM, whatever code runs in the context.

    Lightning turns it into a SystemExit with exit code 0. An existing handler is kept.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _die)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _kill_pools() -> None:
    """End the processes of multiprocessing; those just starting would print a traceback."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            # The name of a program may hold blanks and brackets.
            parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
            if any(each in command for each in _POOLS):
                children.setdefault(int(parent), []).append(int(folder.name))
    # A server of forks comes before its forks, so that it starts no more.
    ending = children.get(os.getpid(), [])
    for process in ending:
        ending += children.get(process, [])
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _remove_sockets() -> None:
    """Remove the folder of multiprocessing's sockets, as it does itself when a process exits."""
    folder = getattr(multiprocessing.current_process(), "_config", {}).get("tempdir")
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _die(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(signal.Signals(number))
