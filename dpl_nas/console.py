"""Stages of a job at a terminal or in a notebook: bars with the time left, and the best so far."""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dpl_nas.io.text import make_printable
from dpl_nas.observer import Observer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

__all__ = ["ConsoleObserver", "QuietObserver", "screen_claimed", "watched"]

#: The time between two lines if stderr is a file.
SECONDS_BETWEEN_LINES = 10.0

#: Held by what draws in this process: two would draw over each other.
_SCREEN = threading.Lock()

#: What ends the bars, which hide the cursor.
_SHOW_CURSOR = "\n\x1b[?25h"


@dataclass
class _Stage:
    total: int
    done_before: int
    started: float

    def seconds_left(self, done: int) -> float | None:
        fresh = done - self.done_before
        if fresh <= 0:
            return None
        return (time.monotonic() - self.started) / fresh * (self.total - done)


class QuietObserver(Observer):
    """An observer that shows nothing."""

    def left(self) -> str:
        """Do nothing: the terminal is as it was."""
        return ""


class ConsoleObserver(Observer):
    """An observer that draws on stderr: live bars at a terminal, elsewhere a line at times.

    The bars appear with the first stage. In a notebook they need the package ``ipywidgets``.
    """

    def __init__(self, console: Console | None = None) -> None:
        # Rich is imported only where something is drawn.
        from rich.console import Group
        from rich.live import Live
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        self._console = console or _stderr()
        self._stages: dict[str, _Stage] = {}
        self._bars: dict[str, TaskID] = {}
        self._status = Text("", overflow="ellipsis", no_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}", style="dim", markup=False),
            console=self._console,
            speed_estimate_period=300,
        )
        self._live = Live(
            Group(self._progress, self._status),
            console=self._console,
            refresh_per_second=4,
            # What the work prints must reach a file that stdout was sent to.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        widgets = self._console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
        self._draws_bars = self._console.is_terminal or widgets
        self._entered = False
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        self._status.plain = ""
        if self._live.is_started:
            # Rich does not do so in a notebook.
            self._live.refresh()
        self._live.stop()

    def _begin_bars(self) -> None:
        if self._draws_bars and self._entered and not self._live.is_started:
            self._live.start()

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Show a bar for the stage."""
        self._stages[stage] = _Stage(total, done, time.monotonic())
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, metrics="")
        # If the end is not known, the bar only moves.
        self._progress.reset(self._bars[stage], total=total or None, completed=done)
        self._begin_bars()
        if done and not self._draws_bars:
            self._line(f"{stage}: goes on after {done} of {total}")

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """Move the bar, and show numbers and the best choice so far."""
        known = self._stages.setdefault(stage, _Stage(done, 0, time.monotonic()))
        numbers = "  ".join(
            f"{_short(name)} {value:.4g}" for name, value in metrics.items() if name != "seconds"
        )
        if stage in self._bars:
            self._progress.update(self._bars[stage], completed=done, metrics=numbers)
        if status:
            self._status.plain = make_printable(f"{'best so far':<14} {status}")
        self._begin_bars()
        now = time.monotonic()
        if self._draws_bars or (
            now - self._last_line < SECONDS_BETWEEN_LINES and done != known.total
        ):
            return
        left = known.seconds_left(done)
        parts = [f"{stage}: {done}/{known.total}" if known.total else f"{stage}: {done}"]
        if left is not None and done < known.total:
            parts.append(f"{_clock(left)} left")
        parts += [part for part in (numbers, status) if part]
        self._line(", ".join(parts))

    def end(self, stage: str) -> None:
        """Complete the bar, even if the stage stopped early by its own rule."""
        bar = self._bars.get(stage)
        if bar is not None:
            total = self._progress.tasks[self._progress.task_ids.index(bar)].completed
            self._progress.update(bar, total=max(total, 1), completed=max(total, 1))
        self._status.plain = ""

    def left(self) -> str:
        """Text that restores the terminal when the process ends in the middle of a stage."""
        return _SHOW_CURSOR if self._live.is_started and self._console.is_terminal else ""

    def _line(self, text: str) -> None:
        from rich.text import Text

        self._last_line = time.monotonic()
        self._console.print(Text(make_printable(text)), soft_wrap=True)


@contextmanager
def screen_claimed() -> Iterator[bool]:
    """Keep others in this process from drawing; yield whether nobody was drawing before."""
    free = _SCREEN.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _SCREEN.release()


@contextmanager
def watched(observer: Observer | None, *, quiet: bool = False) -> Iterator[Observer]:
    """Yield an observer that is given; else one that draws, if there is somebody to see it.

    That is at a terminal or in a notebook, unless ``quiet``, in the process that was started
    there. What is called by something that draws already does not draw as well.
    """
    if observer is not None:
        yield observer
        return
    if quiet or multiprocessing.parent_process() is not None:
        yield Observer()
        return
    console = _stderr()
    if not (console.is_terminal or console.is_jupyter):
        yield Observer()
        return
    with screen_claimed() as free:
        if not free:
            yield Observer()
            return
        with ConsoleObserver(console) as drawn:
            yield drawn


def _stderr() -> Console:
    from rich.console import Console

    # Names of tasks and spaces are not markup.
    return Console(file=sys.stderr, markup=False, emoji=False)


def _short(name: str) -> str:
    return name.replace("validation_", "val ").replace("_", " ")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
