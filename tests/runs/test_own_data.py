"""Runs on a user's own images in each of the forms: read, or refused before any training."""

import csv
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dpl_nas import runs
from dpl_nas.config import RunConfig
from dpl_nas.errors import TaskError
from dpl_nas.observer import Observer

pytestmark = pytest.mark.filterwarnings("ignore:.* are kept for the test")


def one_folder(images: Path, place: Path) -> Path:
    return Path(shutil.copytree(images / "train", place / "task"))


def manifest(images: Path, place: Path) -> Path:
    shutil.copytree(images, place / "task")
    with (place / "task" / "list.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split"])
        for file in sorted((place / "task").rglob("*.png")):
            part, label = file.parts[-3:-1]
            writer.writerow([os.path.relpath(file, place / "task"), label, part])
    return place / "task" / "list.csv"


def hub_folder(images: Path, place: Path) -> Path:
    shutil.copytree(images, place / "task")
    (place / "task" / "task.yml").unlink()
    files = sorted((place / "task").rglob("*.png"))
    lines = [f"{os.path.relpath(file, place / 'task')},{file.parent.name}" for file in files]
    (place / "task" / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    return place / "task"


Form = Callable[[Path, Path], Path]


@pytest.mark.parametrize("form", [one_folder, manifest, hub_folder])
def test_training_and_its_own_test(
    form: Form,
    run_config: RunConfig,
    image_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = form(image_folder, tmp_path)
    monkeypatch.chdir(tmp_path)
    config = run_config.model_copy(update={"task": os.path.relpath(task), "shots": 2})
    runs.train(config, config.space.uniform(2), tmp_path / "run")
    here = runs.evaluate(tmp_path / "run")
    monkeypatch.chdir("/")
    # The same images are tested on, from anywhere.
    there = runs.evaluate(tmp_path / "run")
    assert there.task == str(task)
    assert there.test == here.test
    assert here.test["found"].images == (15 if form is one_folder else 60)


class Told(Observer):
    def begin(self, stage: str, total: int, done: int = 0) -> None:
        assert stage == "check", f"{stage} has begun"


def bomb(file: Path) -> None:
    """The head of an image of 3.6 billion pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc)


def sixteen_bits(file: Path) -> None:
    Image.new("I;16", (8, 8), 60_000).save(file, "PNG")


def orientation(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4), "red").save(file, "JPEG", exif=exif)


READ: dict[str, Callable[[Path], None]] = {
    "cmyk": lambda file: Image.new("CMYK", (8, 8)).save(file, "JPEG"),
    "palette": lambda file: Image.new("P", (8, 8)).save(file, "PNG"),
    "transparent": lambda file: Image.new("RGBA", (8, 8)).save(file, "PNG"),
    "sixteen bits": sixteen_bits,
    "orientation": orientation,
}


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


REFUSED: dict[str, Callable[[Path], object]] = {
    "bomb": bomb,
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("no image"),
    "gone": lambda file: file.unlink(),
    "a pipe": pipe,
}


@pytest.mark.parametrize("form", [one_folder, manifest, hub_folder])
def test_odd_files_are_read(
    form: Form, run_config: RunConfig, image_folder: Path, tmp_path: Path
) -> None:
    task = form(image_folder, tmp_path)
    folder = task if task.is_dir() else task.parent
    files = sorted(folder.rglob("*.png"))
    for file, write in zip(files, READ.values(), strict=False):
        write(file)
    config = run_config.model_copy(update={"task": str(task), "shots": 5})
    runs.train(config, config.space.uniform(2), tmp_path / "run")


@pytest.mark.parametrize("form", [one_folder, manifest, hub_folder])
@pytest.mark.parametrize("damage", REFUSED)
def test_files_that_are_no_images_are_told_before_anything_is_done(
    form: Form, damage: str, run_config: RunConfig, image_folder: Path, tmp_path: Path
) -> None:
    task = form(image_folder, tmp_path)
    folder = task if task.is_dir() else task.parent
    config = run_config.model_copy(update={"task": str(task), "shots": 5})
    # All of a class, as those of a folder are for the test by chance.
    for file in sorted(folder.rglob("white/*.png")):
        REFUSED[damage](file)
    with pytest.raises(
        TaskError, match=r"is not a readable image|neither a file nor a link|no picture in 'white'"
    ):
        runs.run(config, tmp_path / "run", observer=Told())
    assert not (tmp_path / "run").exists()
