"""``dpl-nas tasks``: what can be learned, what is there of it, and what a seed selects."""

from __future__ import annotations

from typing import Annotated, Any

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

__all__ = ["app"]

app = typer.Typer(
    invoke_without_command=True,
    help="List tasks, see what is there of them, and what a seed selects.",
)

#: Problems of a dataset that are shown.
_TOLD = 3


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
        typer.Argument(metavar="[TASK]...", help="Datasets coop/...; all by default."),
    ] = None,
    data: DataOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look for images only; do not read them.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what is there of the datasets coop/..., what is missing, and where it belongs.

    Classes and images are counted against the published numbers, and every image is read.
    """
    with job(quiet=quiet) as observer:
        from dpl_nas.tasks.coop.inventory import take_inventory

        root = data and parse_path(data)
        found = take_inventory(root, names or (), decode=not quick, observer=observer)
    if json:
        print_json({each.task: each.as_dict() for each in found})
        return
    shown = table("task", "state", "classes", "train", "validation", "test", "folder")
    for each in found:
        counts: dict[str, Any] = each.found.as_dict() if each.found else {}
        cells = (
            f"{counts[key]:,} of {number:,}" if counts else f"{number:,}"
            for key, number in each.published.as_dict().items()
        )
        shown.add_row(each.task, each.state, *cells, make_printable(each.folder))
    shown.columns[-1].justify = "left"
    console().print(shown)
    for each in found:
        notes = [*([each.problem] if each.problem else []), *each.unreadable[:_TOLD]]
        notes += [f"missing: {path}" for path in each.missing[:_TOLD]]
        more = len(each.unreadable[_TOLD:]) + len(each.missing[_TOLD:])
        notes += [f"and {more:,} more files (--json lists all)"] if more else []
        for note in notes:
            console().print(f"{each.task}: {make_printable(note)}", highlight=False)


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
