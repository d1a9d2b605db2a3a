"""``dpl-nas tasks``: the embedded tasks."""

from __future__ import annotations

from dpl_nas.cli.options import JsonOption
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table

__all__ = ["tasks"]


def tasks(json: JsonOption = False) -> None:
    """List the embedded tasks. A folder of images is a task, too: give its path."""
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
