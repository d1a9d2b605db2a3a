import shutil
import struct
import zlib
from pathlib import Path

import pytest

from dpl_nas.errors import TaskError
from dpl_nas.tasks import load_task
from dpl_nas.tasks.folder import FolderImages


def test_layout(image_folder: Path) -> None:
    task = load_task(image_folder)
    assert task.class_names == ("dark square", "grey", "white")
    assert task.captions()[0] == "a photo of a dark square thing."
    assert len(task.train.labels) == 30
    assert len(task.test.labels) == 60
    assert task.test.image(0).mode == "RGB"
    assert len(task.templates) == 80


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: shutil.rmtree(f / "test"), "no test/"),
        (lambda f: shutil.rmtree(f / "test" / "grey"), "same classes"),
        (lambda f: (f / "task.yml").write_text("tempalte: x"), "unknown key tempalte"),
        (lambda f: (f / "task.yml").write_text("template: no place"), "needs one {}"),
        (lambda f: (f / "task.yml").write_text("class_names: {blue: x}"), "do not exist"),
    ],
)
def test_bad_layouts(image_folder: Path, tmp_path: Path, damage: object, words: str) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(TaskError, match=words):
        load_task(folder)


def test_a_broken_image_is_named(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    (folder / "test" / "grey" / "000.png").write_bytes(b"not an image")
    task = load_task(folder)
    index = list(task.test.labels).index(1)
    with pytest.raises(TaskError, match=r"grey/000\.png is not a readable image"):
        task.test.image(index)


def test_unknown() -> None:
    with pytest.raises(TaskError, match="known are"):
        load_task("mini/nothing")
    with pytest.raises(TaskError, match="nor a folder of images"):
        load_task("/no/such/folder")


def test_an_image_of_absurd_size_is_named(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    file = tmp_path / "huge.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    with pytest.raises(TaskError, match=r"huge\.png is not a readable image"):
        FolderImages([(str(file), 0)]).image(0)
