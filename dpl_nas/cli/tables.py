"""Results as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from dpl_nas.io.text import printable

__all__ = ["show_files", "show_lengths", "show_metrics", "show_notes", "show_result", "table"]

#: More tied layers than this are counted, not named.
_NAMED_TIES = 6
_DESIGNS = {"found": "found", "manual": "manual design", "zero_shot": "zero-shot"}


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the style of all of them; columns after the first are numbers."""
    result = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        result.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    return result


def show_result(console: Console, result: Mapping[str, Any]) -> None:
    """Found lengths, and their test beside the manual design and zero-shot."""
    shown = table(
        "design",
        "accuracy",
        "macro-F1",
        "vectors",
        title=f"{printable(result['task'])}, {result['shots']} shots, seed {result['seed']}",
    )
    for key, design in _DESIGNS.items():
        test = result.get("test", {}).get(key)
        if test is None:
            continue
        name = design
        lengths = {"found": result["lengths"], "zero_shot": {}}.get(key, test.get("lengths", {}))
        different = {length for tower in lengths.values() for length in tower}
        if key == "manual" and len(different) == 1:
            name = f"{different.pop()} everywhere"
        shown.add_row(
            name,
            f"{test['accuracy']:.1%}",
            f"{test['macro_f1']:.1%}" if "macro_f1" in test else "",
            str(sum(sum(tower) for tower in lengths.values())),
        )
    console.print(shown)
    show_lengths(console, result)
    show_notes(console, result)
    seconds = result.get("seconds", {})
    if seconds:
        times = ", ".join(f"{stage} {value:.0f} s" for stage, value in seconds.items())
        console.print(f"time   {times}", highlight=False)


def show_files(console: Console, folder: Path) -> None:
    """Where the run is, and its pictures."""
    console.print(f"run    {printable(str(folder))}", highlight=False)
    for picture in sorted(folder.glob("*.png")):
        console.print(f"       {printable(str(picture))}", highlight=False)


def show_lengths(console: Console, result: Mapping[str, Any]) -> None:
    """The lengths of each tower, and which of them were a close call."""
    for tower, lengths in result.get("lengths", {}).items():
        console.print(f"{tower:<6} {' '.join(map(str, lengths))}", highlight=False)
    search = result.get("search", {})
    ties = search.get("ties", [])
    if ties:
        layers = sum(len(lengths) for lengths in result["lengths"].values())
        named = f": {', '.join(ties)}" if len(ties) <= _NAMED_TIES else ""
        console.print(
            f"ties   {len(ties)} of {layers} layers were a close call{named}", highlight=False
        )


def show_notes(console: Console, result: Mapping[str, Any]) -> None:
    """What the numbers do not show."""
    for note in result.get("notes", ()):
        console.print(f"note   {note}", highlight=False)


def show_metrics(console: Console, result: Mapping[str, Any]) -> None:
    """Accuracy and macro-F1 of one set of prompts."""
    shown = table("task", "accuracy", "macro-F1", "test images")
    found = result["test"]["found"]
    shown.add_row(
        printable(str(result["task"])),
        f"{found['accuracy']:.1%}",
        f"{found['macro_f1']:.1%}",
        str(found.get("images", "")),
    )
    console.print(shown)
