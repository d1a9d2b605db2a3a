"""Loading of a :class:`~dpl_nas.tasks.task.Task` from a name or a path."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from dpl_nas.config import Classes, RunConfig
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.class_parts import take_classes
from dpl_nas.tasks.coop import coop_descriptions, is_coop, load_coop_task
from dpl_nas.tasks.names import unknown_task
from dpl_nas.tasks.own import load_own
from dpl_nas.tasks.rows import TEST_SHARE
from dpl_nas.tasks.tables import SUFFIXES
from dpl_nas.tasks.task import Task

__all__ = ["configured_task", "load_task", "task_descriptions"]

#: Families of embedded tasks.
_EMBEDDED = ("glosses", "mini", "pictures")


def task_descriptions() -> dict[str, str]:
    """The tasks that have names: the embedded ones and the benchmark's, and a line about each."""
    return _embedded() | coop_descriptions()


def _embedded() -> dict[str, str]:
    from dpl_nas.tasks.gallery import name_gallery_tasks
    from dpl_nas.tasks.glosses import GLOSS_TASKS
    from dpl_nas.tasks.mini import MINI_TASKS

    families = {"mini": MINI_TASKS, "pictures": name_gallery_tasks(), "glosses": GLOSS_TASKS}
    return {
        f"{family}/{name}": text
        for family, tasks in families.items()
        for name, text in tasks.items()
    }


@checked(TaskError)
def load_task(
    name_or_path: AnyPath | Task,
    data: AnyPath | None = None,
    classes: Classes = "all",
    *,
    test_share: float = TEST_SHARE,
) -> Task:
    """Load a task by name or path; return a task as is.

    Parameters
    ----------
    name_or_path
        ``mini/<name>``, ``pictures/<name>``, ``glosses/<name>``, ``coop/<dataset>``, or the path of
        your own images or texts.
    data
        Folder of the datasets, for ``coop/<dataset>``.
    classes
        Classes to keep: ``all``, or the ``base`` or ``new`` half.
    test_share
        Share of your own images of each class to keep for the test if there is no test set and
        nothing says how many; 0 for none.

    Raises
    ------
    TaskError
        If there is no such task, or it is not laid out as expected.
    """
    task = name_or_path
    if not isinstance(task, Task):
        task = _load(str(task), data, test_share)
    return task if classes == "all" else take_classes(task, classes)


@checked()
def configured_task(config: RunConfig, *, test_share: float = TEST_SHARE) -> Task:
    """Load the task of a run; ``test_share`` as of :func:`load_task`.

    Raises
    ------
    TaskError
        If it cannot be loaded, or has fewer than two classes.
    """
    task = load_task(config.task, config.data, config.classes, test_share=test_share)
    if len(task.class_names) < 2:
        raise TaskError(
            f"task {make_printable(task.name)} should have two classes or more, found "
            f"{len(task.class_names)}: use classes=all"
        )
    return task


def _load(text: str, data: AnyPath | None, test_share: float) -> Task:
    path = Path(text)
    if is_coop(text) and (data is not None or not path.exists()):
        return load_coop_task(text, data)
    family = text.partition("/")[0]
    if family in _EMBEDDED and (text in _embedded() or not path.exists()):
        if path.exists():
            warnings.warn(
                f"{text} is the embedded task, not the folder of this name: for the folder, give "
                f"./{text}",
                DplWarning,
                stacklevel=4,
            )
        return _load_embedded(text)
    if not path.exists():
        raise _absent(text)
    task = load_own(path, test_share)
    # Without the dot, prompts would be tested on the embedded task.
    return replace(task, name=f"./{task.name}") if task.name in _embedded() else task


def _absent(text: str) -> TaskError:
    """The error for what is no path, and no name of an embedded task or of the benchmark."""
    here = str(Path.cwd())
    is_list = text.lower().endswith((*SUFFIXES, ".json"))
    # Names of other families have been looked up.
    if not (is_list or "/" in text or text.startswith(".")):
        return unknown_task(text, task_descriptions(), here)
    where = "" if text.startswith("/") else f" (looked in {make_printable(here)})"
    return TaskError(
        f"there is no file or folder {make_printable(text):.200}{where}: give another path, or a "
        "name of dpl-nas tasks"
    )


def _load_embedded(text: str) -> Task:
    family, _, name = text.partition("/")
    known = [each for each in _embedded() if each.startswith(f"{family}/")]
    if text not in known:
        raise unknown_task(text, known)
    if family == "mini":
        from dpl_nas.tasks.mini import load_mini_task

        return load_mini_task(name)
    if family == "glosses":
        from dpl_nas.tasks.glosses import load_gloss_task

        return load_gloss_task(name)
    from dpl_nas.tasks.gallery import load_gallery_task

    return load_gallery_task(name)
