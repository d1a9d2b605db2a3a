"""The published few-shot selections: CoOp's draw, and the files of 2SFS."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.errors import TaskError
from dpl_nas.tasks import few_shot_split, load_task, select_places

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "fewshot.json"


@pytest.fixture
def golden(tmp_path: Path) -> Any:
    """The reference split as OxfordPets, without any image."""
    if not GOLDEN.exists():
        pytest.skip("the reference selections are not at hand")
    content = json.loads(GOLDEN.read_text())
    (tmp_path / "oxford_pets" / "images").mkdir(parents=True)
    file = tmp_path / "oxford_pets" / "split_zhou_OxfordPets.json"
    file.write_text(json.dumps(content["split"]))
    return content


def test_all_published_selections(golden: Any, tmp_path: Path) -> None:
    task = load_task("coop/OxfordPets", tmp_path)
    assert len(golden["selections"]) == 15
    for name, expected in golden["selections"].items():
        seed, shots = (int(part.strip("sedhot")) for part in name.split("_"))
        assert select_places(task, shots, seed) == (expected["train"], expected["val"])
        # What a search sees is the same.
        split = few_shot_split(task, shots, seed, "extra")
        validation = len(task.train.labels)
        places = task.train.places, task.validation.places  # type: ignore[attr-defined, union-attr]
        assert [places[0][row] for row in split.train] == expected["train"]
        assert [places[1][row - validation] for row in split.validation] == expected["val"]


def test_base_and_new_classes(golden: Any, tmp_path: Path) -> None:
    """Drawn of all classes, as published: those of base and new are parts of the same draw."""
    for classes in ("base", "new"):
        task = load_task("coop/OxfordPets", tmp_path, classes)  # type: ignore[arg-type]
        assert list(task.class_names) == golden[f"{classes}_classes"]
        for name, expected in golden["selections"].items():
            seed, shots = (int(part.strip("sedhot")) for part in name.split("_"))
            wanted = {
                part: [place for place in expected[part] if place.split("/")[0] in task.class_names]
                for part in ("train", "val")
            }
            assert select_places(task, shots, seed) == (wanted["train"], wanted["val"])


def test_more_shots_than_images(whole_benchmark: Path) -> None:
    """As a training does: a class gives all that it has, but a number that none has is refused."""
    for classes in ("all", "base"):
        task = load_task("coop/DescribableTextures", whole_benchmark, classes)
        with pytest.raises(TaskError, match="expected 16 shots a class, but the largest class"):
            select_places(task, 16, 3)
        with pytest.raises(TaskError, match="expected 16 shots a class, but the largest class"):
            few_shot_split(task, 16, 3)


def write(folder: Path, name: str, items: list[dict[str, Any]]) -> None:
    (folder / "split_fewshot").mkdir(exist_ok=True)
    text = "".join(json.dumps(item) + "\n" for item in items)
    (folder / "split_fewshot" / name).write_text(text)


def item(place: str, label: int) -> dict[str, Any]:
    return {"_impath": place, "_label": label, "_domain": 0, "_classname": "it"}


def test_the_files_of_2sfs(data: Path) -> None:
    folder = data / "caltech-101"
    elsewhere = "/somebody/data/caltech-101/101_ObjectCategories"
    chosen = [item(f"{elsewhere}/green_cup/train_3.jpg", 0), item("red_pea/train_1.jpg", 1)]
    write(folder, "shot_1-seed_2_train.jsonl", chosen)
    write(folder, "shot_1-seed_2_val.jsonl", [item(f"{elsewhere}/red_pea/val_2.jpg", 1)])
    task = load_task("2sfs/Caltech101", data)
    assert select_places(task, 1, 2) == (
        ["green_cup/train_3.jpg", "red_pea/train_1.jpg"],
        ["red_pea/val_2.jpg"],
    )
    split = few_shot_split(task, 1, 2, "extra")
    assert [task.pool.labels[row] for row in (*split.train, *split.validation)] == [0, 1, 1]
    assert few_shot_split(task, 1, 2, "extra", 1) == split
    with pytest.raises(TaskError, match=r"images, 1 a class: leave out search.validation_shots=2"):
        few_shot_split(task, 1, 2, "extra", 2)
    base = load_task("2sfs/Caltech101", data, "new")
    assert select_places(base, 1, 2) == ([], [])


@pytest.mark.filterwarnings("ignore:.* classes of the same name")
def test_imagenet_of_2sfs_has_no_validation_images(data: Path) -> None:
    folders = sorted((data / "imagenet/images/train").iterdir())
    chosen = [item(f"images/train/{each.name}/x_0.JPEG", i) for i, each in enumerate(folders)]
    write(data / "imagenet", "shot_1-seed_1_train.jsonl", chosen)
    task = load_task("2sfs/ImageNet", data)
    assert len(select_places(task, 1, 1)[0]) == len(few_shot_split(task, 1, 1).shots) == 5
    with pytest.raises(TaskError, match="has no validation images: set search"):
        few_shot_split(task, 1, 1, "extra")


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (None, r"there is no .*shot_1-seed_2_train\.jsonl: add .* or use coop/<dataset>"),
        ([], "lists no images"),
        ([item("green_cup/train_3.jpg", 0)] * 2, "found 'green_cup/train_3.jpg' twice"),
        ([item("green_cup/test_1.jpg", 0)], "line 1 of .*expected an image of the dataset's split"),
        ([item("green_cup/train_1.jpg", 1)], "with its label, found .* with '1'"),
        ([{"path": "green_cup/train_1.jpg"}], "has no column _impath and no _label"),
        ([item("/etc/passwd", 0)], "expected an image of the dataset's split"),
    ],
)
def test_damaged_files_of_2sfs(data: Path, items: list[Any] | None, words: str) -> None:
    if items is not None:
        write(data / "caltech-101", "shot_1-seed_2_train.jsonl", items)
    with pytest.raises(TaskError, match=words):
        select_places(load_task("2sfs/Caltech101", data), 1, 2)
