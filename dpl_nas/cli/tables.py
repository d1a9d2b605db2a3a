"""Results as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from dpl_nas.backbone_config import PLAIN
from dpl_nas.io.text import make_printable

if TYPE_CHECKING:
    from dpl_nas.classifier.folder import FitResult
    from dpl_nas.classifier.saved import ClassifierMetadata
    from dpl_nas.runs.result import EvaluationResult, Lengths, RunResult

__all__ = [
    "show_classifier",
    "show_files",
    "show_lengths",
    "show_metrics",
    "show_notes",
    "show_result",
    "table",
]

#: More tied layers than this are counted, not named.
_NAMED_TIES = 6
#: So many classes are named.
_NAMED_CLASSES = 12
_DESIGNS = {
    "found": "found",
    "manual": "manual design",
    "uniform": "uniform",
    **{name: told for names in PLAIN.values() for name, told in names.items()},
}


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the style of all of them; columns after the first are numbers."""
    result = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        result.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    return result


def show_result(console: Console, result: RunResult) -> None:
    """Found lengths, and their test beside the manual design and zero-shot."""
    shown = table(
        "design",
        "accuracy",
        "macro-F1",
        "vectors",
        title=f"{make_printable(result.task)}, {result.shots} shots, seed {result.seed}",
    )
    for key, design in _DESIGNS.items():
        test = result.test.get(key)
        if test is None:
            continue
        different = {length for part in test.lengths.values() for length in part}
        everywhere = key in {"manual", "uniform"} and len(different) == 1
        name = f"{different.pop()} everywhere" if everywhere else design
        shown.add_row(name, f"{test.accuracy:.1%}", f"{test.macro_f1:.1%}", str(test.vectors))
    console.print(shown)
    show_lengths(console, result.lengths, result.search.ties)
    show_notes(console, result.notes)
    if result.seconds:
        times = ", ".join(f"{stage} {value:.0f} s" for stage, value in result.seconds.items())
        console.print(f"time   {times}", highlight=False)


def show_classifier(
    console: Console, metadata: ClassifierMetadata, result: FitResult | None = None
) -> None:
    """The classes of a classifier, its candidates, and its test."""
    labels = [make_printable(str(label)) for label in metadata.labels]
    more = len(labels) - _NAMED_CLASSES
    named = ", ".join(labels[:_NAMED_CLASSES]) + (f" and {more} more" if more > 0 else "")
    console.print(f"{len(labels)} classes: {named}", highlight=False)
    shown = table(
        "candidate",
        "accuracy",
        "cross-entropy",
        "vectors",
        "seconds",
        title=f"cross-fitted on {metadata.images} pictures, at most {metadata.shots} a class",
    )
    for each in metadata.leaderboard:
        accuracy, loss = f"{each.accuracy:.1%}", f"{each.loss:.3f}"
        shown.add_row(each.name, accuracy, loss, _count(each.vectors), f"{each.seconds:.1f}")
    console.print(shown)
    console.print(f"chosen {metadata.chosen}", highlight=False)
    if result is not None and result.test is not None:
        test = result.test
        console.print(
            f"test   accuracy {test.accuracy:.1%}, macro-F1 {test.macro_f1:.1%}, on {test.told}",
            highlight=False,
        )


def show_files(console: Console, folder: Path) -> None:
    """The paths of the run and of its pictures."""
    console.print(f"run    {make_printable(str(folder))}", highlight=False)
    for picture in sorted(folder.glob("*.png")):
        console.print(f"       {make_printable(str(picture))}", highlight=False)


def show_lengths(console: Console, lengths: Lengths, ties: Sequence[str] = ()) -> None:
    """The lengths of each tower, and the layers where the choice was close."""
    for tower, part in lengths.items():
        console.print(f"{tower:<6} {' '.join(map(str, part))}", highlight=False)
    if ties:
        layers = sum(map(len, lengths.values()))
        named = f": {', '.join(ties)}" if len(ties) <= _NAMED_TIES else ""
        console.print(
            f"ties   the choice was close at {len(ties)} of {layers} layers{named}", highlight=False
        )


def show_notes(console: Console, notes: Sequence[str]) -> None:
    """The notes: what the numbers do not show."""
    for note in notes:
        console.print(f"note   {note}", highlight=False)


def show_metrics(console: Console, result: EvaluationResult) -> None:
    """Accuracy and macro-F1 of one set of prompts."""
    shown = table("task", "accuracy", "macro-F1", "test images")
    found = result.test["found"]
    # Without it, the rows of base and new classes look alike.
    part = "" if result.classes == "all" else f" ({result.classes}, {result.class_count} classes)"
    shown.add_row(
        f"{make_printable(result.task)}{part}",
        f"{found.accuracy:.1%}",
        f"{found.macro_f1:.1%}",
        str(found.images),
    )
    console.print(shown)


def _count(number: int | None) -> str:
    """A number, or a dash where there is none to tell."""
    return "-" if number is None else str(number)
