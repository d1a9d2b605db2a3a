import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dpl_nas.tasks import load_task, task_digest

ROWS = (0, 1, 12, 25)


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(image_folder, tmp_path / "task")
    return tmp_path / "task"


def added(folder: Path, line: str) -> None:
    file = folder / "task.yml"
    file.write_text(f"{file.read_text()}{line}\n")


def test_where_the_task_lies_is_of_no_account(folder: Path, image_folder: Path) -> None:
    digest = task_digest(load_task(folder), ROWS)
    assert len(digest) == 16
    assert digest == task_digest(load_task(image_folder), ROWS)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: shutil.copy(
            folder / "train" / "grey" / "003.png", folder / "train" / "grey" / "002.png"
        ),
        # One more moves the rows of the others.
        lambda folder: shutil.copy(
            folder / "train" / "grey" / "003.png", folder / "train" / "dark_square" / "00.png"
        ),
        lambda folder: added(folder, "background: black"),
        lambda folder: added(folder, "templates: ['a {}.']"),
        lambda folder: added(folder, "class_names: {grey: gray}"),
        lambda folder: (folder / "task.yml").write_text("augmentation: none"),
        lambda folder: (folder / "task.yml").write_text("template: a photo of a {} thing."),
    ],
)
def test_what_is_learned_from_counts(folder: Path, change: Callable[[Path], None]) -> None:
    before = task_digest(load_task(folder), ROWS)
    change(folder)
    assert task_digest(load_task(folder), ROWS) != before


def test_what_is_not_learned_from_does_not(folder: Path) -> None:
    before = task_digest(load_task(folder), ROWS)
    (folder / "test" / "grey" / "000.png").unlink()
    shutil.copy(folder / "train" / "grey" / "003.png", folder / "train" / "white" / "009.png")
    assert task_digest(load_task(folder), ROWS) == before


def test_of_images_in_memory() -> None:
    task = load_task("mini/digits")
    digest = task_digest(task, ROWS)
    assert digest == task_digest(load_task("mini/digits"), ROWS)
    assert digest != task_digest(task, ROWS[:3])
    assert digest != task_digest(replace(task, train=task.test), ROWS)
