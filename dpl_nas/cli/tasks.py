"""``dpl-nas tasks``: what can be learned, what is there of it, and what a seed selects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Annotated

import typer

from dpl_nas.cli.options import (
    ClassesOption,
    DataOption,
    JsonOption,
    QuietOption,
    SeedOption,
    ShotsOption,
    TaskOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table
from dpl_nas.io.text import make_printable

if TYPE_CHECKING:
    from dpl_nas.tasks.coop.inventory import Inventory
    from dpl_nas.tasks.coop.table import Figures

__all__ = ["app"]

app = typer.Typer(
    invoke_without_command=True,
    help="List tasks, see what is there of them, and what a seed selects.",
)

#: Problems of a dataset that are shown.
_TOLD = 3
_FIGURES = ("classes", "train", "validation", "test")


@app.callback()
def tasks(context: typer.Context, json: JsonOption = False) -> None:
    """List the tasks that have names. Your own images are a task, too: give their path."""
    if context.invoked_subcommand is not None:
        return
    with job(quiet=True):
        from dpl_nas.tasks import task_descriptions

        known = task_descriptions()
    if json:
        print_json(known)
        return
    shown = table("task", "what it is")
    shown.columns[1].justify = "left"
    shown.columns[1].no_wrap = False
    for name, text in known.items():
        shown.add_row(name, text)
    console().print(shown)


@app.command("check")
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Datasets coop/..., or paths of your images; all datasets by default.",
        ),
    ] = None,
    data: DataOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look for images only; do not read them.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what is there of the datasets coop/... or of your images, and what is missing.

    Every image is read, and classes and images are counted; those of the datasets are set against
    the published numbers. The exit code is 1 if a task that you name is not there, not complete or
    has files that cannot be read.
    """
    with job(quiet=quiet) as observer:
        from dpl_nas.tasks.inventory import take_inventories

        root = data and parse_path(data)
        # Names stay as they are typed; only a path begins with the home folder.
        asked = [str(parse_path(name)) if name.startswith("~") else name for name in names or ()]
        found = take_inventories(root, asked, decode=not quick, observer=observer)
    if json:
        print_json({each.task: each.as_dict() for each in found})
    else:
        _show(found)
    if names and not all(each.usable for each in found):
        raise typer.Exit(1)


def _show(found: Sequence[Inventory]) -> None:
    shown = table("task", "state", *_FIGURES, "folder")
    for each in found:
        cells = map(_count, _FIGURES, repeat(each.found), repeat(each.published))
        shown.add_row(make_printable(each.task), each.state, *cells, make_printable(each.folder))
    shown.columns[-1].justify = "left"
    console().print(shown)
    for each in found:
        notes = [*([each.problem] if each.problem else []), *each.unreadable[:_TOLD]]
        notes += [f"missing: {path}" for path in each.missing[:_TOLD]]
        more = len(each.unreadable[_TOLD:]) + len(each.missing[_TOLD:])
        notes += [f"and {more:,} more files (--json lists all)"] if more else []
        for note in notes:
            console().print(make_printable(f"{each.task}: {note}"), highlight=False)


def _count(figure: str, *counts: Figures | None) -> str:
    """Return what is found and what is published of a figure, as far as it is known."""
    return " of ".join(f"{getattr(each, figure):,}" for each in counts if each is not None)


@app.command("select")
def select(
    task: TaskOption,
    data: DataOption = None,
    classes: ClassesOption = "all",
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    json: JsonOption = False,
) -> None:
    """Print the published few-shot selection of a seed: paths as the task's lists have them.

    Validation images are drawn from the task's own validation set, if it has one.
    """
    with job(quiet=True):
        from dpl_nas.tasks import load_task, select_places

        train, validation = select_places(load_task(task, data, classes), shots, seed)
    if json:
        print_json({"train": train, "val": validation})
        return
    for part, places in (("train", train), ("val", validation)):
        for place in places:
            console().print(f"{part} {make_printable(place)}", highlight=False)
