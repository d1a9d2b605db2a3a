"""One folder, split by seed: what is kept for the test is a property of the task."""

import shutil
from pathlib import Path

import pytest

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import load_task
from dpl_nas.tasks.rows import Row, file_task, sort_labels
from dpl_nas.tasks.settings import SplitFile
from dpl_nas.tasks.task import Task


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    """Twenty images of each of three classes, without train/ and test/."""
    return Path(shutil.copytree(image_folder / "test", tmp_path / "flowers"))


def places(task: Task) -> tuple[set[str], set[str]]:
    return set(task.train.places), set(task.test.places)  # type: ignore[attr-defined]


def load(path: Path, words: str = "are kept for the test") -> Task:
    with pytest.warns(DplWarning, match=words):
        return load_task(path)


def test_half_of_each_class_is_kept(folder: Path) -> None:
    task = load(folder, r"flowers: 30 of 60 images, 50% of each class, are kept for the test")
    assert task.class_names == ("dark square", "grey", "white")
    train, test = places(task)
    assert not train & test
    assert len(train | test) == 60
    assert [list(task.test.labels).count(label) for label in range(3)] == [10, 10, 10]
    assert places(load(folder)) == (train, test)
    assert task.folders == (str(folder),)


def test_the_settings_decide(folder: Path) -> None:
    kept = []
    for seed in (1, 2):
        (folder / "task.yml").write_text(f"test: 0.2\nsplit_seed: {seed}\ntemplate: one {{}}.\n")
        task = load(folder, "12 of 60 images, 20% of each class")
        assert task.template == "one {}."
        kept.append(places(task)[1])
    assert kept[0] != kept[1]


def test_more_images_change_little(folder: Path) -> None:
    before = places(load(folder))[1]
    shutil.copytree(folder / "grey", folder / "another")
    shutil.copy(folder / "white/000.png", folder / "white/zzz.png")
    after = places(load(folder))[1]
    assert len(before - after) <= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("test: 0", "test: "),
        ("test: 1", "test: "),
        ("test: true", "expected a number"),
        ("split_seed: -1", "split_seed: "),
        ("split_seed: 1.5", "split_seed: "),
        ("label: x", "unknown key label"),
    ],
)
def test_settings_that_make_no_sense(folder: Path, text: str, words: str) -> None:
    (folder / "task.yml").write_text(text)
    with pytest.raises(TaskError, match=words):
        load_task(folder)


def test_a_share_beside_a_test_set_is_refused(image_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(image_folder, tmp_path / "task"))
    (folder / "task.yml").write_text("test: 0.5")
    with pytest.raises(
        TaskError, match=r"has a test set already, test/.*: remove test from .*task\.yml"
    ):
        load_task(folder)


def test_folders_that_are_no_classes(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match=r"a folder for each of two .* found none: add"):
        load_task(tmp_path / "empty")
    for name in ("grey", "white"):
        shutil.rmtree(folder / name)
    with pytest.raises(TaskError, match="found 'dark_square'"):
        load_task(folder)


def test_what_does_not_count_is_told(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "grey" / "zzz.png").symlink_to("000.png")
    with pytest.warns(DplWarning) as told:
        load_task(folder)
    texts = [str(each.message) for each in told]
    assert any(
        "1 file or link is not a readable image" in each and "'notes.txt'" in each for each in texts
    )
    assert any("counted already: 'grey/zzz.png'" in each for each in texts)


def rows(*items: tuple[str, str, str | None]) -> list[Row]:
    return [Row(place, label, part) for place, label, part in items]  # type: ignore[arg-type]


def make(found: list[Row], settings: SplitFile | None = None) -> Task:
    return file_task(Path("list.csv"), ".", found, settings or SplitFile(), "list.yml")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((("a", "x", None),), "two classes or more, found 'x'"),
        ((("a", "x", None), ("a", "y", None)), "lists images twice, 'a'"),
        ((("a", "x", "train"), ("b", "y", None)), "found it for 1 of 2, and not for 'b'"),
        ((("a", "x", "train"), ("b", "y", "train")), "no test images: mark some as test"),
        ((("a", "x", "train"), ("b", "y", "test")), "no training images of 'y'"),
    ],
)
def test_lists_that_are_refused(found: tuple[tuple[str, str, str | None], ...], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        make(rows(*found))


def test_numbers_go_by_size(folder: Path) -> None:
    labels = [str(number) for number in (10, 9, 0, 100, 11)]
    found = rows(*((each, each, "train") for each in labels), ("last", "9", "test"))
    assert make(found).class_names == ("0", "9", "10", "11", "100")
    assert sort_labels(["10", "9", "-1"]) == ["-1", "10", "9"]
    # Folders go by text, as those of torchvision do.
    (folder / "grey").rename(folder / "10")
    (folder / "white").rename(folder / "9")
    (folder / "dark_square").rename(folder / "1")
    assert load(folder).class_names == ("1", "10", "9")


def test_a_test_set_is_not_added_to() -> None:
    found = rows(("a", "x", "train"), ("b", "y", "train"), ("c", "y", "test"))
    assert make(found).test.labels == [1]
    with pytest.raises(TaskError, match=r"has test images, so .*: remove test from list\.yml"):
        make(found, SplitFile(test=0.5))


def test_a_share_of_what_is_for_training() -> None:
    found = rows(*((f"{label}{number}", label, "train") for label in "xy" for number in range(4)))
    found += rows(("v", "x", "validation"))
    with pytest.warns(DplWarning, match="2 of 8 images, 25%"):
        task = make(found, SplitFile(test=0.25))
    assert task.validation is not None
    assert (len(task.train.labels), task.validation.labels, len(task.test.labels)) == (6, [0], 2)


def test_one_image_of_each_class_leaves_no_test(folder: Path) -> None:
    with pytest.raises(TaskError, match="has one image of each class, so none can be kept"):
        make(rows(("a", "x", None), ("b", "y", None)))
    many = rows(*((f"{number}", f"label {number}", None) for number in range(10)))
    with pytest.raises(
        TaskError, match=r"10 of 10 labels have one image each.* add images of each"
    ):
        make(many)


def test_a_single_image_trains() -> None:
    found = rows(("a", "x", None), ("b", "y", None), ("c", "y", None))
    with pytest.warns(DplWarning, match="1 of 3 images"):
        task = make(found)
    assert sorted(task.train.labels) == [0, 1]
    assert task.test.labels == [1]
