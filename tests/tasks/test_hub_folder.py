"""Folders of images with metadata, as Hugging Face's imagefolder has them."""

import json
import shutil
from pathlib import Path

import pytest

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import check_images, load_task


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    """All images of a part in one folder, which the metadata tell apart."""
    root = tmp_path / "hub"
    for part, name in (("train", "train"), ("test", "test")):
        (root / part).mkdir(parents=True)
        lines = ["file_name,label"]
        for file in sorted((image_folder / name).rglob("*.png")):
            shutil.copy(file, root / part / f"{file.parent.name}-{file.name}")
            lines.append(f"{file.parent.name}-{file.name},{file.parent.name}")
        (root / part / "metadata.csv").write_text("\n".join(lines))
    return root


def test_metadata_of_each_part(folder: Path) -> None:
    task = load_task(folder)
    assert task.class_names == ("dark square", "grey", "white")
    assert (len(task.train.labels), len(task.test.labels)) == (30, 60)
    check_images(task, range(30))
    (folder / "test").rename(folder / "validation")
    with pytest.raises(TaskError, match="has no test images"):
        load_task(folder)
    (folder / "task.yml").write_text("test: 0.5")
    with pytest.warns(DplWarning, match="15 of 30 images"):
        task = load_task(folder)
    assert task.validation is not None
    assert len(task.validation.labels) == 60


def test_metadata_of_all(folder: Path) -> None:
    lines = []
    for part in ("train", "test"):
        for line in (folder / part / "metadata.csv").read_text().split("\n")[1:]:
            name, what = line.split(",")
            lines.append(json.dumps({"file_name": f"{part}/{name}", "what": what}))
    for part in ("train", "test"):
        (folder / part / "metadata.csv").unlink()
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    task = load_task(folder)
    assert (len(task.train.labels), len(task.test.labels)) == (30, 60)


@pytest.mark.filterwarnings("ignore:.*kept for the test")
def test_parts_of_another_name_are_told(folder: Path) -> None:
    lines = [
        f"{part}/{line},{part}"
        for part in ("train", "test")
        for line in (folder / part / "metadata.csv").read_text().split("\n")[1:]
    ]
    for part in ("train", "test"):
        (folder / part / "metadata.csv").unlink()
        (folder / part).rename(folder / f"{part}ed")
    text = "\n".join(["file_name,label,part", *lines])
    (folder / "metadata.csv").write_text(text.replace("/", "ed/"))
    with pytest.warns(DplWarning, match="the column 'part' has 'test', 'train', and is not read"):
        load_task(folder)


def test_a_column_states_the_parts(folder: Path) -> None:
    lines = [
        f"{part}/{line},{part}"
        for part in ("train", "test")
        for line in (folder / part / "metadata.csv").read_text().split("\n")[1:]
    ]
    for part in ("train", "test"):
        (folder / part / "metadata.csv").unlink()
    (folder / "metadata.csv").write_text("\n".join(["file_name,label,split", *lines]))
    (folder / "train").rename(folder / "one")
    (folder / "test").rename(folder / "two")
    text = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(
        text.replace("\ntrain/", "\none/").replace("\ntest/", "\ntwo/")
    )
    task = load_task(folder)
    assert (len(task.train.labels), len(task.test.labels)) == (30, 60)
    (folder / "one").rename(folder / "test")
    (folder / "metadata.csv").write_text(
        text.replace("\ntest/", "\ntwo/").replace("\ntrain/", "\ntest/")
    )
    with pytest.raises(TaskError, match="split is train, but the image is in test/: correct one"):
        load_task(folder)


def test_images_without_metadata_are_told(folder: Path) -> None:
    for place in ("test/zzz.png", "test/.hidden.png", "more/x.JPG"):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_bytes(b"")
    with pytest.warns(DplWarning) as told:
        load_task(folder)
    [note] = [str(each.message) for each in told]
    assert note.endswith(
        "2 images are not in the metadata and are left out: 'more/x.JPG', 'test/zzz.png'"
    )


def test_images_beside_their_metadata_are_split(folder: Path) -> None:
    with pytest.warns(DplWarning, match="15 of 30 images"):
        assert len(load_task(folder / "train").test.labels) == 15


def columns(folder: Path, head: str) -> None:
    for part in ("train", "test"):
        file = folder / part / "metadata.csv"
        first, *rest = file.read_text().split("\n")
        assert first
        file.write_text("\n".join([head, *(f"{line},7" for line in rest)]))


def test_another_column_has_the_labels(folder: Path) -> None:
    columns(folder, "file_name,kind,age")
    with pytest.raises(TaskError, match="found 'kind', 'age': name it with label"):
        load_task(folder)
    (folder / "task.yml").write_text("label: kind")
    assert load_task(folder).class_names == ("dark square", "grey", "white")
    (folder / "task.yml").write_text("label: kinds")
    with pytest.raises(TaskError, match="column of labels"):
        load_task(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("../x.png,grey", "expected paths of images below its folder"),
        ("x.png,", "a class has an empty name"),
        ("grey-000.png,grey", "lists images twice, 'train/grey-000.png'"),
    ],
)
def test_lines_that_are_refused(folder: Path, line: str, words: str) -> None:
    with (folder / "train" / "metadata.csv").open("a") as stream:
        stream.write(f"\n{line}\n")
    with pytest.raises(TaskError, match=words):
        load_task(folder)


def test_folders_that_are_refused(folder: Path) -> None:
    (folder / "task.yml").write_text("image: picture")
    with pytest.raises(TaskError, match="remove image"):
        load_task(folder)
    (folder / "task.yml").unlink()
    (folder / "train" / "metadata.jsonl").write_text('{"file_name": "x", "label": "y"}')
    with pytest.raises(TaskError, match=r"both metadata\.csv and metadata\.jsonl in one folder"):
        load_task(folder)
