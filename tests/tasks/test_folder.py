import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import load_task
from dpl_nas.tasks.image_files import ImageFiles

PARTS = ("train", "test")


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
        (lambda f: shutil.rmtree(f / "test"), "no test/: add it, or give the path of the training"),
        (
            lambda f: (f / "task.yml").write_text("split_seed: 2"),
            "test set already, test/.* split_s",
        ),
        (lambda f: (f / "task.yml").write_text("templates: a {}"), "templates: expected a list of"),
        (lambda f: shutil.rmtree(f / "test" / "grey"), "same classes"),
        (lambda f: (f / "task.yml").write_text("tempalte: x"), "unknown key tempalte"),
        (lambda f: (f / "task.yml").write_text("template: no place"), "needs one {}"),
        (lambda f: (f / "task.yml").write_text("class_names: {blue: x}"), "task, found 'blue'"),
        (lambda f: (f / "task.yml").write_text("class_names: {0: x}"), "put it in quotes"),
        (lambda f: (f / "task.yml").write_text("class_names: {grey: 8}"), "put it in quotes"),
        (lambda f: (f / "task.yml").write_text("class_names: {grey: ' '}"), "has an empty name"),
        (lambda f: (f / "task.yml").write_text('class_names: {grey: "a\\eb"}'), "control char"),
        (lambda f: (f / "task.yml").write_text('template: "{} \\ud800"'), "must be UTF-8"),
        (lambda f: (f / "task.yml").write_text("background: whitish"), "name of a colour"),
        (lambda f: (f / "task.yaml").write_text("template: '{}'"), "holds both task.yaml and"),
        (lambda f: (f / "task.yml").rename(f / "Task.YML"), "rename it to task.yml"),
        (
            lambda f: ((f / "task.yml").unlink(), os.mkfifo(f / "task.yml")),
            "is neither a file nor a link",
        ),
        (
            lambda f: ((f / "task.yml").unlink(), (f / "task.yml").symlink_to("x")),
            "is neither a file nor a link",
        ),
        (lambda f: [(f / part / "grey").rename(f / part / "__") for part in PARTS], "empty name"),
    ],
)
def test_bad_layouts(image_folder: Path, tmp_path: Path, damage: object, words: str) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(TaskError, match=words):
        load_task(folder)


@pytest.mark.parametrize("name", ["grey\u200b", "gre\u200by", "gr\u00e9y"])
def test_names_that_look_the_same_are_refused(
    image_folder: Path, tmp_path: Path, name: str
) -> None:
    """What the eye cannot tell apart is a mistake of a program."""
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    for part in PARTS:
        (folder / part / "white").rename(folder / part / name)
        if not name.isascii() and "\u00e9" in name:
            (folder / part / "grey").rename(folder / part / "gre\u0301y")
    with pytest.raises(TaskError, match="two classes have the same name"):
        load_task(folder)


def test_parts_of_other_names(image_folder: Path, tmp_path: Path) -> None:
    """Otherwise they would be classes."""
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    shutil.copytree(folder / "train", folder / "val")
    (folder / "train").rename(folder / "Training")
    (folder / "test").rename(folder / "TEST")
    task = load_task(folder)
    assert task.class_names == ("dark square", "grey", "white")
    assert task.validation is not None
    parts = (task.train, task.validation, task.test)
    assert [len(part.labels) for part in parts] == [30, 30, 60]
    assert task.folders == tuple(str(folder / part) for part in ("Training", "val", "TEST"))
    shutil.rmtree(folder / "val" / "grey")
    with pytest.raises(TaskError, match=r"Training/ and val/ must have the same classes.* 'grey'"):
        load_task(folder)


def test_the_path_is_text(image_folder: Path, tmp_path: Path) -> None:
    """It is kept beside what is learned."""
    shutil.copytree(image_folder, tmp_path / "caf\udce9")
    with pytest.raises(TaskError, match="the path of the task must be UTF-8"):
        load_task(tmp_path / "caf\udce9")


def test_unicode_forms_of_folders(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    (folder / "train" / "grey").rename(folder / "train" / "caf\u00e9")
    (folder / "test" / "grey").rename(folder / "test" / "cafe\u0301")
    with pytest.raises(TaskError, match="in another Unicode form: rename one"):
        load_task(folder)


def test_task_yaml_is_read(image_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(image_folder, tmp_path / "task")
    (tmp_path / "task" / "task.yml").rename(tmp_path / "task" / "task.yaml")
    task = load_task(tmp_path / "task")
    assert (task.template, task.augmentation) == ("a photo of a {} thing.", "none")
    assert task.folder == str(tmp_path / "task")


def test_what_does_not_count_is_told(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    (folder / "train" / "grey" / "labels.txt").write_text("mine")
    (folder / "test" / "grey" / "again").symlink_to(".")
    with pytest.warns(DplWarning) as told:
        task = load_task(folder)
    texts = [str(each.message) for each in told]
    assert len(texts) == 2
    assert "1 file or link is not a readable image" in texts[0]
    assert "'train/grey/labels.txt'" in texts[0]
    assert "1 file or link leads to an image that is counted already: 'test/grey/a" in texts[1]
    assert len(task.test.labels) == 60


def notes(folder: Path) -> list[str]:
    with pytest.warns(DplWarning) as told:
        load_task(folder)
    return [str(each.message) for each in told]


def test_images_outside_of_classes_are_told(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    shutil.copy(folder / "train/grey/000.png", folder / "train/x.png")
    shutil.copy(folder / "train/grey/000.png", folder / "y.png")
    shutil.copytree(folder / "train/grey", folder / "unlabelled/deep")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "notes.txt").write_text("mine")
    stray, beside, file = notes(folder)
    assert "1 image is in no class folder and is left out: 'train/x.png'; move" in stray
    assert "'unlabelled/' is no part of the task: its images are left out" in beside
    assert "1 image is beside the folders of the parts and is left out: 'y.png'" in file


def test_folders_inside_a_class_are_told(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    for part in PARTS:
        (folder / part / "animals").mkdir()
        for name in ("dark_square", "white"):
            (folder / part / name).rename(folder / part / "animals" / name)
    (folder / "task.yml").unlink()
    words = "the class 'animals' has folders inside, 'dark_square', 'white', whose images are all"
    assert [words in each for each in notes(folder)] == [True]
    # A folder between a class and its images is no second class.
    for part in PARTS:
        shutil.rmtree(folder / part / "animals" / "white")
    assert load_task(folder).class_names == ("animals", "grey")


def test_a_broken_image_is_named(image_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(image_folder, folder)
    (folder / "test" / "grey" / "000.png").write_bytes(b"not an image")
    task = load_task(folder)
    index = list(task.test.labels).index(1)
    with pytest.raises(TaskError, match=r"grey/000\.png is not a readable image"):
        task.test.image(index)


def test_unknown() -> None:
    with pytest.raises(TaskError, match=r"did you mean mini/.*dpl-nas tasks lists all"):
        load_task("mini/nothing")
    with pytest.raises(TaskError, match="there is no file or folder /no/such/folder"):
        load_task("/no/such/folder")


def test_an_image_of_absurd_size_is_named(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    file = tmp_path / "huge.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    with pytest.raises(TaskError, match=r"huge\.png is not a readable image"):
        ImageFiles([str(file)], [0]).image(0)


def test_a_folder_with_the_name_of_an_embedded_task_is_told_apart(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(image_folder, tmp_path / "mini" / "digits")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(DplWarning, match=r"not the folder .*: for the folder, give \./mini/digits"):
        assert load_task("mini/digits").folder == ""
    own = load_task("./mini/digits")
    assert own.folder == str(tmp_path / "mini" / "digits")
    # By this name, prompts find it again.
    assert load_task(own.name).folder == own.folder
