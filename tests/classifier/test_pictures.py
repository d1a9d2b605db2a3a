"""Pictures as people hold them: what a folder lists."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpl_nas.classifier.pictures import Pictures, list_pictures, pictures_of
from dpl_nas.errors import DplWarning, TaskError


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "grey").save(file)
    return file


def listed(folder: Path) -> list[str]:
    return [os.path.relpath(str(each), folder) for each in list_pictures(folder)]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    picture(tmp_path / "outside" / "far.png")
    inside = tmp_path / "inside"
    picture(inside / "z" / "near.png")
    (inside / "a_link").symlink_to(inside / "z")
    (inside / "far").symlink_to(tmp_path / "outside")
    (inside / "z" / "up").symlink_to(inside)
    with pytest.warns(DplWarning, match=r"links lead to folders .* \(2\): 'a_link', 'z/up'"):
        assert listed(inside) == ["far/far.png", "z/near.png"]


def test_what_is_no_file_is_listed_and_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "none")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert listed(tmp_path) == ["loop.png", "nowhere.png", "pipe.png"]
    pictures = Pictures(list_pictures(tmp_path))
    for row, told in enumerate(("symbolic links", "does not exist", "not a regular file")):
        with pytest.raises(TaskError, match=told):
            pictures.read(row)


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "open" / "one.png")
    closed = tmp_path / "closed"
    picture(closed / "two.png")
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list_pictures(tmp_path)
    assert [str(each) for each in found] == [str(closed), str(tmp_path / "open" / "one.png")]
    with pytest.raises(TaskError, match=r"cannot read the folder .*closed: Permission denied"):
        Pictures(found).read(0)


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.warns(DplWarning, match="holds no pictures"):
        assert not list_pictures(tmp_path)


def test_files_of_torchvision_are_read_as_all_files_are(tmp_path: Path) -> None:
    from torch.utils.data import Subset
    from torchvision.datasets import ImageFolder

    (tmp_path / "a").mkdir()
    clear = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    clear.save(tmp_path / "a" / "clear.png")
    turned = Image.new("RGB", (8, 6), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a" / "turned.jpg", exif=exif)
    folder = ImageFolder(tmp_path)
    for dataset in (folder, Subset(folder, [0, 1])):
        found = pictures_of(dataset)
        assert len(found) == 2
        # Torchvision's own loader makes it black.
        assert found.read(0).getpixel((0, 0)) == (255, 255, 255)
        assert found.read(1).size == (6, 8)
    changed = pictures_of(ImageFolder(tmp_path, transform=lambda image: image.resize((3, 3))))
    assert changed.read(1).size == (3, 3)
