"""Loading of a :class:`~dpl_nas.tasks.task.Task` from a name or a path."""

from __future__ import annotations

import difflib
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.tasks.task import Task

__all__ = ["load_task", "task_descriptions"]


def task_descriptions() -> dict[str, str]:
    """The embedded tasks: ``mini/<name>`` and a line about each."""
    from dpl_nas.tasks.mini import MINI_TASKS

    return {f"mini/{name}": text for name, text in MINI_TASKS.items()}


@checked(TaskError)
def load_task(name_or_path: str | Path | Task) -> Task:
    """Load an embedded task by name, or a folder of images by path; return a task as is.

    Raises
    ------
    TaskError
        If there is no such task, or the folder is not laid out as expected.
    """
    if isinstance(name_or_path, Task):
        return name_or_path
    text = str(name_or_path)
    known = task_descriptions()
    if text in known:
        from dpl_nas.tasks.mini import load_mini_task

        return load_mini_task(text.removeprefix("mini/"))
    path = Path(text)
    if text.startswith("mini/") and not path.exists():
        close = difflib.get_close_matches(text, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise TaskError(f"unknown task '{text}': known are {', '.join(known)}{hint}")
    if not path.is_dir():
        raise TaskError(
            f"unknown task '{text}': neither one of {', '.join(known)} nor a folder of images"
        )
    from dpl_nas.tasks.folder import load_folder

    return load_folder(path)
