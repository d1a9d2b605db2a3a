"""Names of the parts of a task: in folders, and in the column ``split``."""

from pathlib import Path

import pytest
from PIL import Image

from dpl_nas.errors import TaskError
from dpl_nas.tasks.parts import find_parts, part_of_name, stated_part
from dpl_nas.tasks.tables import Line


def test_names_of_parts() -> None:
    names = {"Train": "train", "val": "validation", " dev ": "validation", "TEST": "test"}
    assert {name: part_of_name(name) for name in names} == names
    assert part_of_name("grey") is None


def test_a_line_states_its_part() -> None:
    assert stated_part(Line("line 2", {"split": "Val"})) == "validation"
    assert stated_part(Line("line 2", {"split": ""})) is None
    assert stated_part(Line("line 2", {})) is None
    with pytest.raises(TaskError, match=r"line 2: split should be one of .* found 'trian'"):
        stated_part(Line("line 2", {"split": "trian"}))


def test_folders_are_found_by_any_name(tmp_path: Path) -> None:
    for name in ("Testing", "training", "val", "grey"):
        (tmp_path / name).mkdir()
    (tmp_path / "dev").write_text("a file")
    found = {part: folder.name for part, folder in find_parts(tmp_path).items()}
    assert found == {"train": "training", "validation": "val", "test": "Testing"}
    (tmp_path / "train").mkdir()
    with pytest.raises(TaskError, match="one folder for train, found 'train', 'training'"):
        find_parts(tmp_path)
    with pytest.raises(TaskError, match="cannot read the folder"):
        find_parts(tmp_path / "none")


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "0.png")


def test_a_class_may_have_the_name_of_a_part(tmp_path: Path) -> None:
    for name in ("train", "bus", "tram"):
        pictures(tmp_path / name)
    assert find_parts(tmp_path) == {}
    # Two such folders are parts that lack their class folders.
    pictures(tmp_path / "test")
    assert set(find_parts(tmp_path)) == {"train", "test"}


def test_a_folder_of_classes_is_a_part(tmp_path: Path) -> None:
    pictures(tmp_path / "train" / "bus")
    pictures(tmp_path / "bus")
    assert set(find_parts(tmp_path)) == {"train"}
    # Alone, it is not one class of several.
    pictures(tmp_path / "other" / "train")
    assert set(find_parts(tmp_path / "other")) == {"train"}
