"""Datasets of Hugging Face's library, saved to disk. Without the library, how it is missed."""

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import check_images, load_task, task_digest


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskError, match=r"pip install '\.\[datasets\]'"):
        load_task(tmp_path)


@pytest.fixture
def library() -> Any:
    # What it warns of when it is imported is its own business.
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("datasets")


def encoded(shade: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(stream, kind)
    return stream.getvalue()


def table(library: Any, count: int, **others: list[Any]) -> Any:
    names = ["white", "dark_grey", "never"]
    features = library.Features(
        {"picture": library.Image(), "label": library.ClassLabel(names=names)}
    )
    cells = [{"bytes": encoded(10 * number), "path": f"{number}.png"} for number in range(count)]
    data = {"picture": cells, "label": [number % 2 for number in range(count)]}
    for name, values in others.items():
        data[name] = values
        features[name] = library.Value("string")
    return library.Dataset.from_dict(data, features=features)


def test_a_saved_dataset(library: Any, tmp_path: Path) -> None:
    parts = {"train": table(library, 8), "validation": table(library, 4), "test": table(library, 6)}
    library.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    task = load_task(tmp_path / "saved")
    # In the order of the dataset, without classes that have no images.
    assert task.class_names == ("white", "dark grey")
    assert task.validation is not None
    sizes = [len(each.labels) for each in (task.train, task.validation, task.test)]
    assert sizes == [8, 4, 6]
    check_images(task, range(12))
    assert task.test.image(3).getpixel((0, 0)) == (30, 30, 30)
    assert task_digest(task, (0, 1)) != task_digest(task, (0, 3))
    # Other processes get the place of the table, not its content.
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own
    assert task_digest(again, (0, 1)) == task_digest(task, (0, 1))


def test_other_splits_are_left_out(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    parts = {name: table(library, 8) for name in ("train", "extra", "test")}
    library.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "hub").mkdir()
    for name, part in parts.items():
        part.to_parquet(str(tmp_path / "hub" / f"{name}.parquet"))
    for place in ("saved", "hub"):
        with pytest.warns(DplWarning, match="the splits 'extra' are left out"):
            task = load_task(tmp_path / place)
        assert [len(each.labels) for each in (task.train, task.test)] == [8, 8]


def test_a_single_table_is_split(library: Any, tmp_path: Path) -> None:
    table(library, 8).save_to_disk(str(tmp_path / "saved"))
    with pytest.warns(DplWarning, match="4 of 8 images"):
        assert len(load_task(tmp_path / "saved").test.labels) == 4


def test_parquet_files(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for name, count in (("train", 8), ("test", 6)):
        table(library, count).to_parquet(
            str(tmp_path / "hub" / "data" / f"{name}-00000-of-00001.parquet")
        )
    task = load_task(tmp_path / "hub")
    assert (len(task.train.labels), len(task.test.labels)) == (8, 6)
    assert task.class_names == ("white", "dark grey")


def test_columns_are_named(library: Any, tmp_path: Path) -> None:
    words = [f"class {number % 3}" for number in range(6)]
    table(library, 6, kind=words).remove_columns("label").save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(TaskError, match=r"one column of labels, found 'kind'"):
        load_task(tmp_path / "saved")
    (tmp_path / "saved" / "task.yml").write_text("label: kind\nimage: picture\n")
    with pytest.warns(DplWarning, match="3 of 6 images"):
        assert load_task(tmp_path / "saved").class_names == ("class 0", "class 1", "class 2")
    (tmp_path / "saved" / "task.yml").write_text("label: kind\nimage: kind\n")
    with pytest.raises(TaskError, match="should have one column of images"):
        load_task(tmp_path / "saved")


def test_classes_without_names_are_sorted_over_all_splits(library: Any, tmp_path: Path) -> None:
    whole = table(library, 6).remove_columns("label").add_column("label", [2, 9, 10] * 2)
    parts = {"test": whole.select([1, 2]), "train": whole}
    library.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    task = load_task(tmp_path / "saved")
    assert task.class_names == ("2", "9", "10")
    assert task.test.labels == [1, 2]


def test_kinds_of_labels(library: Any, tmp_path: Path) -> None:
    whole = table(library, 12).remove_columns("label")
    columns = {"number": [10, 2] * 6, "flag": [True, False] * 6, "none": [None] * 12}
    for name, values in columns.items():
        whole = whole.add_column(name, values)
    whole.save_to_disk(str(tmp_path / "saved"))
    settings = tmp_path / "saved" / "task.yml"
    for name, words in (
        ("flag", "image train/0 has the label True: make it a text or a whole number"),
        ("none", "image train/0 has no label"),
    ):
        settings.write_text(f"label: {name}\n")
        with pytest.raises(TaskError, match=words):
            load_task(tmp_path / "saved")
    settings.write_text("label: number\n")
    with pytest.warns(DplWarning, match="6 of 12 images"):
        assert load_task(tmp_path / "saved").class_names == ("2", "10")
    whole.remove_columns("picture").save_to_disk(str(tmp_path / "bare"))
    with pytest.raises(TaskError, match="one column of images, found none: save it with one"):
        load_task(tmp_path / "bare")


def test_pictures_that_are_damaged(library: Any, tmp_path: Path) -> None:
    whole = table(library, 6)
    whole_cell = {"bytes": encoded(10), "path": None}
    cells = [*[whole_cell] * 3, {"bytes": b"no image", "path": None}, None, whole_cell]
    features = whole.features
    data = {"picture": cells, "label": [number % 2 for number in range(6)]}
    parts = {"train": whole, "test": library.Dataset.from_dict(data, features=features)}
    library.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(TaskError, match=r"test/3 is not a readable image .*; .*test/4 is empty"):
        check_images(load_task(tmp_path / "saved"))


def test_datasets_that_are_damaged(library: Any, tmp_path: Path) -> None:
    table(library, 8).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(TaskError, match="is no readable dataset"):
        load_task(tmp_path / "saved")
    data = {"picture": [{"bytes": encoded(1), "path": None}] * 2, "label": [0, -1]}
    odd = library.Dataset.from_dict(data, features=table(library, 1).features)
    odd.save_to_disk(str(tmp_path / "odd"))
    with pytest.raises(TaskError, match="image train/1 has no label"):
        load_task(tmp_path / "odd")
