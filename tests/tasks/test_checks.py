import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.observer import Observer
from dpl_nas.tasks import Task, check_images, checks, load_task
from dpl_nas.tasks.views import SomeImages


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(image_folder, tmp_path / "task")
    return tmp_path / "task"


class Heard(Observer):
    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        assert not done
        self.said.append((stage, total))

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        self.said.append((stage, done))


def test_all_test_images_and_the_rows_are_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    monkeypatch.setattr(checks, "QUIET_SECONDS", 0.0)
    check_images(load_task(folder), [3, 1, 3], observer=heard)
    assert heard.said == [("check", 62), *(("check", done) for done in range(1, 63))]


def test_broken_files_are_named(folder: Path) -> None:
    whole = (folder / "test" / "grey" / "000.png").read_bytes()
    # Its head is whole.
    (folder / "test" / "grey" / "000.png").write_bytes(whole[:500])
    (folder / "train" / "dark_square" / "002.png").write_bytes(b"")
    task = load_task(folder)
    with pytest.raises(TaskError, match=r"test/grey/000\.png is not a readable image") as error:
        check_images(task, [0, 1])
    assert "002" not in str(error.value)
    with pytest.raises(TaskError, match=r"dark_square/002\.png .*; .*test/grey/000\.png"):
        check_images(task, [2])
    for number in range(1, 9):
        (folder / "test" / "grey" / f"{number:03}.png").write_bytes(b"")
    with pytest.raises(TaskError, match="and 6 more files"):
        check_images(task)


def test_animations_are_told_of(folder: Path) -> None:
    frames = [Image.new("RGB", (8, 8), name) for name in ("red", "blue")]
    frames[0].save(folder / "test" / "grey" / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(DplWarning, match="1 file holds an animation"):
        check_images(load_task(folder))


def test_copies_are_told_of(folder: Path) -> None:
    shutil.copyfile(folder / "train" / "grey" / "000.png", folder / "test" / "grey" / "x.png")
    with pytest.warns(DplWarning, match="test images are trained on"):
        check_images(load_task(folder), [10])


def test_classes_without_test_images_are_told_of(folder: Path) -> None:
    task = load_task(folder)
    rows = [row for row, label in enumerate(task.test.labels) if label != 1]
    some = SomeImages(task.test, rows, [task.test.labels[row] for row in rows])
    with pytest.warns(DplWarning, match="1 of 3 classes have no test images: 'grey'"):
        check_images(replace(task, test=some))
    nothing = replace(task, test=SomeImages(task.test, [], []))
    check_images(nothing, [0], test=False)
    with pytest.raises(TaskError, match="has no test images: add some"):
        check_images(nothing)


def test_images_in_memory_need_no_check() -> None:
    heard = Heard()
    task: Task = load_task("mini/digits")
    check_images(task, range(10), observer=heard)
    assert not heard.said
