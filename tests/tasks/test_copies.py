import os
import shutil
import warnings
from pathlib import Path

import pytest

from dpl_nas.errors import DplWarning
from dpl_nas.tasks import copies, load_task
from dpl_nas.tasks.copies import tell_copies


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(image_folder, tmp_path / "task")
    return tmp_path / "task"


def told(folder: Path) -> list[str]:
    """The notes on the images of a task."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        tell_copies(load_task(folder))
    assert all(each.category is DplWarning for each in found)
    return [str(each.message).removeprefix(f"{folder}: the same picture is ") for each in found]


@pytest.mark.parametrize("copy", [shutil.copyfile, os.link, os.symlink])
def test_a_picture_of_both_parts_is_told(folder: Path, copy: object) -> None:
    copy(folder / "train" / "grey" / "003.png", folder / "test" / "grey" / "x.png")  # type: ignore[operator]
    assert told(folder) == [
        (
            "a training image and a test image, so test images are trained on: 1 picture, such as "
            "'train/grey/003.png', 'test/grey/x.png'; keep one of each"
        )
    ]


def test_a_picture_of_two_classes_is_told(folder: Path) -> None:
    for name in ("000.png", "001.png"):
        shutil.copyfile(folder / "test" / "grey" / name, folder / "test" / "white" / f"x{name}")
    assert told(folder) == [
        (
            "in two classes, so one label is wrong: 2 pictures, such as 'test/grey/000.png', "
            "'test/white/x000.png', 'test/grey/001.png', 'test/white/x001.png'; keep one of each"
        )
    ]


def test_a_picture_that_counts_twice_is_told(folder: Path) -> None:
    os.link(folder / "train" / "white" / "000.png", folder / "train" / "white" / "x.png")
    assert told(folder) == [
        (
            "in a class twice, and each copy counts: 1 picture, such as 'train/white/000.png', "
            "'train/white/x.png'; keep one of each"
        )
    ]


def listed(folder: Path, parts: dict[str, str]) -> Path:
    """A list of all images, which are for the ``parts`` by their path, or else by their folder."""
    images = {str(each.relative_to(folder)): each for each in sorted(folder.rglob("*.png"))}
    rows = [
        f"{place},{each.parent.name},{parts.get(place, each.parts[-3])}"
        for place, each in images.items()
    ]
    (folder / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    return folder / "list.csv"


def test_paths_of_a_list_are_told_from_its_folder(folder: Path) -> None:
    shutil.copyfile(folder / "train/grey/000.png", folder / "test/grey/x.png")
    [note] = told(listed(folder, {}))
    assert "such as 'train/grey/000.png', 'test/grey/x.png'; keep" in note


def test_copies_of_validation_images_are_told(folder: Path) -> None:
    shutil.copyfile(folder / "train/grey/000.png", folder / "test/grey/x.png")
    shutil.copyfile(folder / "train/white/000.png", folder / "train/white/x.png")
    place = folder / "list.csv"
    notes = told(
        listed(folder, {f"train/{name}": "val" for name in ("grey/000.png", "white/x.png")})
    )
    assert [each.removeprefix(f"{place}: the same picture is ") for each in notes] == [
        (
            "a validation image and a test image, so a search may see test images: 1 picture, such "
            "as 'train/grey/000.png', 'test/grey/x.png'; keep one of each"
        ),
        (
            "a training image and a validation image, so a search may validate on what it trains "
            "on: 1 picture, such as 'train/white/000.png', 'train/white/x.png'; keep one of each"
        ),
    ]


def test_all_classes_are_compared_for_some(folder: Path) -> None:
    shutil.copyfile(folder / "train/grey/000.png", folder / "test/grey/x.png")
    with pytest.warns(DplWarning, match="a training image and a test image"):
        tell_copies(load_task(folder, classes="base"))


def test_the_benchmark_is_as_published(whole_benchmark: Path) -> None:
    tell_copies(load_task("coop/OxfordPets", whole_benchmark))


def test_only_what_may_be_a_copy_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a large folder takes minutes."""
    first, second = (folder / "test" / "grey" / name for name in ("a.ppm", "b.ppm"))
    head, pixels = b"P6 32 32 255\n", bytes(32 * 32 * 3)
    first.write_bytes(head + b"\1" + pixels[1:])
    second.write_bytes(head + pixels)
    read: list[str] = []
    monkeypatch.setattr(copies, "content", lambda path: read.append(path) or b"%d" % len(read))
    assert told(folder) == []
    assert read == [str(first), str(second)]
