import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dpl_nas.errors import TaskError
from dpl_nas.tasks.class_folders import read_class_folders


@pytest.fixture
def root(image_folder: Path, tmp_path: Path) -> Path:
    """Twenty pictures of three classes each."""
    folder = tmp_path / "test"
    shutil.copytree(image_folder / "test", folder)
    return folder


def names(root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path, _ in read_class_folders(root).samples]


def test_the_order_is_torchvisions(root: Path) -> None:
    from torchvision.datasets import ImageFolder

    (root / "grey" / "more").mkdir()
    (root / "grey" / "more-yet").mkdir()
    for number, place in enumerate(("more", "more-yet", "more")):
        shutil.copy(root / "grey" / "000.png", root / "grey" / place / f"{number}.png")
    assert read_class_folders(root).samples == ImageFolder(str(root)).samples


def test_hidden_names_are_passed_over(root: Path) -> None:
    before = names(root)
    shutil.copytree(root / "grey", root / ".ipynb_checkpoints")
    shutil.copytree(root / "grey", root / "grey" / ".ipynb_checkpoints")
    shutil.copy(root / "grey" / "000.png", root / "grey" / "._000.png")
    (root / ".empty").mkdir()
    found = read_class_folders(root)
    assert names(root) == before
    assert found.names == ["dark_square", "grey", "white"]
    assert not found.others


def test_nothing_is_counted_twice(root: Path) -> None:
    before = names(root)
    (root / "grey" / "again").symlink_to(".")
    (root / "grey" / "too").symlink_to("again")
    (root / "grey" / "itself").symlink_to("itself")
    (root / "grey" / "zzz.png").symlink_to("000.png")
    (root / "white" / "deep").mkdir()
    (root / "white" / "deep" / "up").symlink_to("..")
    found = read_class_folders(root)
    assert names(root) == before
    assert len(found.again) == 4
    assert [Path(each).name for each in found.others] == ["itself"]


def test_links_are_followed(root: Path, tmp_path: Path) -> None:
    (root / "white").rename(tmp_path / "elsewhere")
    (root / "white").symlink_to(tmp_path / "elsewhere")
    (root / "grey" / "000.png").rename(tmp_path / "a.png")
    (root / "grey" / "000.png").symlink_to(tmp_path / "a.png")
    found = read_class_folders(root)
    assert len(found.samples) == 60
    assert not found.again


def test_every_format_is_read_and_the_rest_counted(root: Path) -> None:
    from PIL import Image

    with Image.open(root / "grey" / "000.png") as image:
        for name in ("a.gif", "a.jfif", "a.avif", "a.TGA", "a.jp2", "a.ico"):
            image.save(root / "grey" / name)
        image.save(root / "grey" / "no_suffix", format="PNG")
    (root / "grey" / "labels.txt").write_text("grey")
    (root / "notes.txt").write_text("mine")
    found = read_class_folders(root)
    assert len(found.samples) == 67
    assert sorted(Path(each).name for each in found.others) == ["labels.txt", "notes.txt"]


def both(root: Path) -> None:
    (root / "grey" / "x.png").symlink_to(root / "white" / "000.png")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (both, r"white/000\.png is also in the class 'grey': leave it in one"),
        (lambda root: (root / "grey" / "up").symlink_to(".."), "is also in the class"),
        (lambda root: (root / "empty").mkdir(), "no picture in 'empty'"),
        (lambda root: (root / "grey").rename(root / "gr\x1bey"), r"found 'gr\\x1bey'"),
        (
            lambda root: (root / "grey").rename(root / "caf\udce9"),
            r"must be UTF-8.* found 'caf\\udce9'",
        ),
        (lambda root: os.mkfifo(root / "grey" / "z.png"), "but is neither a file nor a link"),
        (
            lambda root: (root / "grey" / "z.png").symlink_to("gone"),
            "but is neither a file nor a link",
        ),
    ],
)
def test_what_is_refused(root: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(root)
    with pytest.raises(TaskError, match=words):
        read_class_folders(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folders_that_cannot_be_read(root: Path) -> None:
    (root / "grey" / "shut").mkdir(mode=0)
    with pytest.raises(TaskError, match=r"cannot read the folder .*shut: Permission denied"):
        read_class_folders(root)
