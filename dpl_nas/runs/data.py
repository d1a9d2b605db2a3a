"""The data that a run belongs to, and the place of its task."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from dpl_nas.errors import CheckpointError, OutputError, TaskError
from dpl_nas.io.files import names_in, read_json, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.run_files import CONFIG, DATA, LOCK, VERSIONS
from dpl_nas.tasks import load_task, test_digest
from dpl_nas.training.origin import Origin
from dpl_nas.training.problem import Problem

__all__ = ["RunData", "own_task"]

#: Files that may be in the folder before anything was done.
_CLAIM = {CONFIG, VERSIONS, LOCK, DATA}


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Attributes
    ----------
    task
        Name or path of the task, as it was given.
    folder
        Absolute path of the task; empty for an embedded one.
    images
        Digest of the training images (:func:`dpl_nas.tasks.task_digest`).
    test_images
        Digest of all test images.
    data
        Absolute path of the folder of all datasets if it is one of them, or empty.
    """

    task: str
    folder: str
    images: str
    test_images: str
    data: str = ""

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """The data of a run on ``problem``."""
        task = problem.task
        return cls(task.name, task.folder, problem.digest(), test_digest(task), task.data)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the data of the run in a folder.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged.
        """
        file = folder / DATA
        saved = read_json(file)
        found = saved if isinstance(saved, dict) else {}
        # Folders of earlier versions have no "data".
        values = {each.name: found.get(each.name, each.default) for each in fields(cls)}
        if not all(isinstance(each, str) for each in values.values()):
            raise CheckpointError(f"{file} is damaged: restore it, or run again")
        return cls(**values)

    def claim(self, folder: Path) -> None:
        """Write the data to the folder of the run, which this process has claimed.

        Raises
        ------
        OutputError
            If the run in the folder is of other data.
        CheckpointError
            If the file cannot be read.
        """
        file = folder / DATA
        if file.exists() and not names_in(folder) <= _CLAIM:
            saved = read_json(file)
            found = saved if isinstance(saved, dict) else {}
            if found.get("test_images") != self.test_images:
                raise OutputError(
                    f"the test images of task {self.task} have changed since the run in {folder} "
                    "began: restore the images, or use another folder"
                )
            if found.get("images") != self.images:
                raise OutputError(
                    f"the drawn images, class names, templates or augmentation of task {self.task} "
                    f"have changed since the run in {folder} began: restore them, or use another "
                    "folder"
                )
            return
        write_json(file, asdict(self))


def own_task(what: str, trained: Origin, data: AnyPath | None = None) -> str:
    """The name or path of the task that something was trained on, from any working directory.

    Parameters
    ----------
    what
        What was trained, such as ``prompts``.
    data
        Folder of all datasets, if it is another one now.

    Raises
    ------
    TaskError
        If its folder has moved.
    """
    if trained.data:
        if data is None and not Path(trained.data).is_dir():
            raise TaskError(
                f"the datasets that the {what} were trained on are no longer at {trained.data}: "
                "give their folder with --data"
            )
        return trained.task
    here, folder = Path(trained.task), Path(trained.folder)
    if not trained.folder or (folder.exists() and here.exists() and here.samefile(folder)):
        return trained.task
    if folder.exists():
        return trained.folder
    if here.exists() and _is_of(trained):
        return trained.task
    raise TaskError(
        f"the task that the {what} were trained on is no longer at {folder}: give the folder to "
        "test on with --task"
    )


def _is_of(trained: Origin) -> bool:
    """Whether the task of this name is the one that it was trained on."""
    try:
        task = load_task(trained.task, classes=trained.classes)
        problem = Problem(trained.space, task, trained.shots, trained.seed)
        return problem.digest() == trained.images
    except TaskError:
        return False
