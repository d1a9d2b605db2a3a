"""Stages of a job at a terminal or in a notebook: bars with the time left, and the best so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from dpl_nas.io.text import make_printable
from dpl_nas.observer import Observer

__all__ = ["ConsoleObserver", "QuietObserver", "watched"]

#: The time between two lines if stderr is a file.
SECONDS_BETWEEN_LINES = 10.0


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
    """An observer that draws on stderr: live bars at a terminal, elsewhere a line at times."""

    def __init__(self, console: Console | None = None) -> None:
        # Names of tasks and spaces are not markup.
        self._console = console or Console(file=sys.stderr, markup=False, emoji=False)
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
            Group(self._progress, self._status), console=self._console, refresh_per_second=4
        )
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._status.plain = ""
        if self._console.is_terminal:
            self._live.stop()

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Show a bar for the stage."""
        self._stages[stage] = _Stage(total, done, time.monotonic())
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, metrics="")
        # If the end is not known, the bar only moves.
        self._progress.reset(self._bars[stage], total=total or None, completed=done)
        if done and not self._console.is_terminal:
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
        now = time.monotonic()
        if self._console.is_terminal or (
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
        return _SHOW_CURSOR if self._console.is_terminal else ""

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(Text(make_printable(text)), soft_wrap=True)


@contextmanager
def watched(observer: Observer | None, *, quiet: bool = False) -> Iterator[Observer]:
    """Yield an observer that is given; else one that draws, if there is somebody to see it.

    That is at a terminal or in a notebook, unless ``quiet``.
    """
    if observer is not None:
        yield observer
        return
    console = Console(stderr=True, markup=False, emoji=False)
    if quiet or not (console.is_terminal or console.is_jupyter):
        yield Observer()
        return
    with ConsoleObserver(console) as drawn:
        yield drawn


def _short(name: str) -> str:
    return name.replace("validation_", "val ").replace("_", " ")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
