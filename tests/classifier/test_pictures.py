"""Pictures as people hold them: what a folder lists."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpl_nas.classifier.pictures import Pictures, list_pictures
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
