"""Lists of images: CSV, TSV, JSON lines."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import check_images, load_task, select_places
from dpl_nas.tasks.tables import read_table

LABELS = {"dark_square": "dark, square", "grey": "grey", "white": "white"}


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(image_folder, tmp_path / "task"))


def items(folder: Path) -> list[dict[str, str]]:
    return [
        {
            "path": os.path.relpath(file, folder),
            "label": LABELS[file.parent.name],
            "split": file.parts[-3],
        }
        for file in sorted(folder.rglob("*.png"))
    ]


def write(file: Path, found: list[dict[str, str]]) -> Path:
    if file.suffix == ".jsonl":
        text = "".join(json.dumps(item) + "\n" for item in found)
    else:
        stream = io.StringIO(newline="")
        delimiter = "\t" if file.suffix == ".tsv" else ","
        writer = csv.DictWriter(stream, list(found[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(found)
        text = stream.getvalue()
    file.write_text(text)
    return file


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_a_list(folder: Path, suffix: str) -> None:
    task = load_task(write(folder / f"list{suffix}", items(folder)))
    assert task.class_names == ("dark, square", "grey", "white")
    assert (len(task.train.labels), len(task.test.labels)) == (30, 60)
    assert task.folder == str(folder / f"list{suffix}")
    check_images(task, range(30))
    assert len(select_places(task, 2, 1)[0]) == 6
    # In the order of the list, as the draw goes by it.
    found = list(reversed(items(folder)))
    task = load_task(write(folder / f"list{suffix}", found))
    assert task.train.places[0] == found[0]["path"]  # type: ignore[attr-defined]


def test_parts_go_by_many_names(folder: Path) -> None:
    found = items(folder)
    for number, item in enumerate(found):
        tested = "val" if number % 2 else "TEST"
        item["split"] = tested if item["split"] == "test" else "Training"
    task = load_task(write(folder / "list.csv", found))
    assert task.validation is not None
    assert (len(task.validation.labels), len(task.test.labels)) == (30, 30)


def test_without_a_split_a_share_is_kept(folder: Path) -> None:
    found = [{"path": item["path"], "label": item["label"]} for item in items(folder)]
    with pytest.warns(DplWarning, match=r"45 of 90 images, 50% .*list\.yml, or .* change that"):
        task = load_task(write(folder / "list.jsonl", found))
    assert len(task.test.labels) == 45
    (folder / "list.yml").write_text("test: 0.2\nclass_names: {grey: gray}\ntemplate: a {}.\n")
    with pytest.warns(DplWarning, match="18 of 90 images, 20%"):
        task = load_task(folder / "list.jsonl")
    assert task.class_names == ("dark, square", "gray", "white")


def test_images_elsewhere(folder: Path, tmp_path: Path) -> None:
    found = items(folder)
    for item in found:
        item["path"] = str(folder / item["path"])
    (tmp_path / "lists").mkdir()
    file = write(tmp_path / "lists" / "list.csv", found)
    with pytest.raises(TaskError, match=r"line 2 of .*expected paths of images below its folder"):
        load_task(file)
    (tmp_path / "lists" / "list.yml").write_text("images: ../task")
    task = load_task(file)
    check_images(task)
    assert select_places(task, 1, 1)[0][0].startswith("train/")
    (tmp_path / "lists" / "list.yml").write_text("images: nowhere")
    with pytest.raises(TaskError, match="images should be the path of a folder, and there is no"):
        load_task(file)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "lists no images"),
        ("a.csv", "path,label\n", "lists no images"),
        ("a.csv", "file,label\nx.png,a\n", "no column path: its first .* found 'file', 'label'"),
        ("a.csv", "file,kind\nx.png,a\n", r"or name the right .* image and label in .*a\.yml"),
        ("a.csv", "file,kind\n", "no column path and no label: .* found 'file', 'kind'"),
        ("a.csv", "x.png,a\n", "found 'x.png', 'a': add such a line above the images"),
        ("a.csv", "path;label\nx.png;a\n", "line 1 of .* commas, found semicolons: save"),
        ("a.csv", "path\tlabel\nx.png\ta\n", "separate columns by commas, found tabs"),
        ("a.tsv", "path,label\nx.png,a\n", "separate columns by tabs, found commas"),
        ("a.csv", "path,label,split\nx,a,train\ny,b,train\nz,b,test", "none of them there,"),
        ("a.csv", "path,path\nx,y\n", "line 1 of .* names a column twice"),
        ("a.csv", "path,label\nx.png\n", "line 2 of .* should have 2 cells.* found 1"),
        ("a.csv", 'path,label\n"x.png,a\n', "is no line of a table"),
        ("a.csv", "path,label\n/etc/passwd,a\n", "expected paths of images below its folder"),
        ("a.csv", "path,label\na/../../x.png,a\n", "expected paths of images below its folder"),
        ("a.csv", "path,label\nx.png,\n", "a class has an empty name"),
        ("a.csv", "path,label\nx.png,a\x1b[2J\n", "control characters"),
        ("a.csv", "path,label,split\nx.png,a,tomorrow\n", "split should be one of .*'tomorr"),
        ("a.csv", "path,label\nx.png,a\n./x.png,b\n", "lists images twice, 'x.png'"),
        ("a.jsonl", "{", "line 1 of .* is not readable JSON"),
        ("a.jsonl", "[1]", "line 1 of .* should be an object"),
        ("a.jsonl", '{"path": "x.png", "label": 1.5}', "label should be a text or a whole number"),
        ("a.jsonl", '{"path": ["x.png"], "label": "a"}', "path should be a text"),
        ("a.jsonl", '{"path": "x.png", "label": "a", "split": true}', "split should be a text"),
        ("a.jsonl", '{"path": "x.png", "label": null}', "has no column label: its lines should"),
        ("a.jsonl", '{"path": "x", "label": "a"}\n{"path": "y"}', "line 2 of .* has no label"),
        ("a.csv", "path,label,Split\nx.png,a,test\n", "column 'Split': rename it to split"),
        ("a.csv", "path,LABEL\nx.png,a\n", "column 'LABEL': rename it to label"),
        ("a.jsonl", "[" * 9000, "nested too deeply"),
        ("a.txt", "path,label\n", r"a list that ends with \.csv"),
    ],
)  # fmt: skip
def test_lists_that_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TaskError, match=words) as error:
        load_task(tmp_path / name)
    assert str(error.value).isprintable()


@pytest.mark.filterwarnings("ignore:.*kept for the test")
def test_settings_choose_the_columns(folder: Path) -> None:
    found = [
        {"picture": item["path"], "Label": "no class", "kind": item["label"]}
        for item in items(folder)
    ]
    (folder / "list.yml").write_text("image: picture\nlabel: kind\n")
    for suffix in (".csv", ".tsv", ".jsonl"):
        task = load_task(write(folder / f"list{suffix}", found))
        assert task.class_names == ("dark, square", "grey", "white")
    (folder / "list.yml").write_text("image: picture\nlabel: kinds\n")
    with pytest.raises(TaskError, match=r"has no column kinds: .* should have picture and kinds"):
        load_task(folder / "list.jsonl")
    for columns in ("label: split", "image: label"):
        (folder / "list.yml").write_text(columns)
        with pytest.raises(TaskError, match=r"list\.yml: image and label should be two columns"):
            load_task(folder / "list.csv")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_parts_of_another_name_are_told(folder: Path, suffix: str) -> None:
    found = [
        {
            "path": item["path"],
            "label": item["label"],
            # Not of two parts: nothing is said of it.
            "use": "train",
            "part": item["split"].upper(),
        }
        for item in items(folder)
    ]
    with pytest.warns(DplWarning) as told:
        load_task(write(folder / f"list{suffix}", found))
    first, second = (str(each.message) for each in told)
    assert "the column 'part' has 'TEST', 'TRAIN', and is not read: rename it to split" in first
    assert "45 of 90 images" in second


@pytest.mark.filterwarnings("ignore:.*kept for the test")
@pytest.mark.parametrize("again", [0, 1])
def test_captions_are_no_classes(folder: Path, again: int) -> None:
    found = [
        {"path": item["path"], "label": f"a caption of number {max(number, again)}"}
        for number, item in enumerate(items(folder))
    ]
    file = write(folder / "list.csv", found)
    words = r"{} of {} labels have one image each, such as 'a caption .*captions or names of files"
    if again:
        with pytest.warns(DplWarning, match=words.format(88, 89) + r".* label in .*list\.yml"):
            load_task(file)
        return
    with pytest.raises(TaskError, match=words.format(90, 90) + r".* label in .*list\.yml"):
        load_task(file)


def test_bytes_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"path,label\n\xff,a\n")
    with pytest.raises(TaskError, match="is not UTF-8: save it as such"):
        load_task(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(TaskError, match="is a pipe or a device"):
        load_task(tmp_path / "b.csv")


def test_a_mark_of_the_byte_order_and_ends_of_lines(folder: Path) -> None:
    file = write(folder / "list.csv", items(folder))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(load_task(file).test.labels) == 60
    # A line of JSON may hold what Python takes for the end of a line.
    found = [*items(folder), {"path": "x\u2028.png", "label": "a", "split": "train"}]
    (folder / "list.jsonl").write_text(
        "\r\n".join(json.dumps(item, ensure_ascii=False) for item in found)
    )
    with pytest.raises(TaskError, match="control characters"):
        load_task(folder / "list.jsonl")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_any_bytes_are_a_table_or_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    try:
        lines = read_table(file)
    except TaskError:
        return
    assert lines
    assert all(isinstance(value, str) for line in lines for value in line.values.values())
