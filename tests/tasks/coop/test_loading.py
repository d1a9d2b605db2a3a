"""Miniatures of all fifteen layouts are read as the field reads them."""

import json
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import check_images, few_shot_split, load_task, select_places
from dpl_nas.tasks.coop.table import DATASETS

#: What the field's own papers name.
NAMES = (
    *("Caltech101", "OxfordPets", "StanfordCars", "OxfordFlowers", "Food101", "FGVCAircraft"),
    *("SUN397", "DescribableTextures", "EuroSAT", "UCF101", "ImageNet", "ImageNetV2"),
    *("ImageNet-Sketch", "ImageNet-A", "ImageNet-R"),
)
TEMPLATES = {
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "Food101": "a photo of {}, a type of food.",
    "FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "UCF101": "a photo of a person doing {}.",
}
OF_IMAGENET = [name for name in NAMES if name.startswith("ImageNet")]
#: classes, train, validation and test of the miniatures.
COUNTS = {name: (4, 24, 12, 8) for name in NAMES if not name.startswith("ImageNet")} | {
    "ImageNet": (5, 30, None, 10),
    "ImageNetV2": (5, 0, None, 10),
    "ImageNet-Sketch": (5, 0, None, 10),
    "ImageNet-A": (2, 0, None, 4),
    "ImageNet-R": (2, 0, None, 4),
}


def load(name: str, data: Path) -> Any:
    # ImageNet has two classes of one name, which is told.
    if name in {"ImageNet", "ImageNetV2", "ImageNet-Sketch"}:
        with pytest.warns(DplWarning, match="classes of the same name, 'missile', as published"):
            return load_task(f"coop/{name}", data)
    return load_task(f"coop/{name}", data)


def test_the_table_is_whole() -> None:
    assert tuple(DATASETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_miniature(name: str, whole_benchmark: Path) -> None:
    task = load(name, whole_benchmark)
    validation = task.validation and len(task.validation.labels)
    found = len(task.class_names), len(task.train.labels), validation, len(task.test.labels)
    assert found == COUNTS[name]
    assert task.template == TEMPLATES.get(name, "a photo of a {}.")
    assert len(task.templates) == 80
    assert Path(task.folder).parent == Path(task.data) == whole_benchmark
    # Every image of every part.
    check_images(task, range(len(task.pool.labels)))
    assert task.test.image(0).mode == "RGB"
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own
    assert again.test.signature(0) == task.test.signature(0)


def test_labels_order_the_classes(whole_benchmark: Path) -> None:
    task = load_task("coop/Caltech101", whole_benchmark)
    # Labels 0, 2, 3, 4; underscores become spaces.
    assert task.class_names == ("green cup", "red pea", "black dog", "blue car")
    assert task.train.labels[:4] == [1, 0, 3, 2]
    task = load_task("coop/FGVCAircraft", whole_benchmark)
    assert task.class_names == ("707-320", "DHC-6", "F-16A/B", "Cessna 172")
    task = load_task("coop/ImageNet-A", whole_benchmark)
    assert task.class_names == ("tench", "sunglasses")


def test_a_class_keeps_its_place_whatever_is_missing(data: Path) -> None:
    shutil.rmtree(data / "imagenet/images/train/n01443537")
    shutil.rmtree(data / "imagenet/images/val/n01440764")
    shutil.rmtree(data / "imagenetv2/imagenetv2-matched-frequency-format-val/1")
    for name in ("ImageNet", "ImageNetV2"):
        task = load(name, data)
        assert task.class_names == ("tench", "goldfish", "missile", "missile", "sunglasses")
        assert task.test.labels[-1] == 4
    assert load("ImageNetV2", data).test.labels[:3] == [0, 0, 2]
    with pytest.raises(TaskError, match="class 'goldfish' has 0 training images"):
        few_shot_split(load("ImageNet", data), 2, 1)


def test_other_folders_are_read_too(data: Path) -> None:
    for old, new in (
        ("oxford_pets", "OxfordPets"),
        ("dtd", "DTD"),
        ("oxford_flowers", "Flower102"),
    ):
        (data / old).rename(data / new)
    for name in ("OxfordPets", "DescribableTextures", "OxfordFlowers"):
        assert len(load_task(f"coop/{name}", data).class_names) == 4
    for part in ("train", "val"):
        (data / "imagenet/images" / part).rename(data / "imagenet" / part)
    (data / "imagenet/images").rmdir()
    assert select_places(load("ImageNet", data), 1, 1)[0][0].startswith("train/n0144")


def test_a_name_that_is_near(tmp_path: Path) -> None:
    with pytest.raises(
        TaskError, match=r"did you mean coop/OxfordPets\? dpl-nas tasks lists all of them"
    ):
        load_task("coop/oxford_pets", tmp_path)
    with pytest.raises(TaskError, match=r"give it with --data ROOT"):
        load_task("coop/OxfordPets")
    with pytest.raises(TaskError, match=r"there is no folder .*/none: give that of all datasets"):
        load_task("coop/OxfordPets", tmp_path / "none")
    with pytest.raises(TaskError, match=r"there is no .*/split_zhou_OxfordPets\.json .*: add it;"):
        load_task("coop/OxfordPets", tmp_path)


def edit(file: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        content = json.loads((root / file).read_text())
        change(content)
        (root / file).write_text(json.dumps(content))

    return apply


def append(file: str, line: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        with (root / file).open("a") as stream:
            stream.write(line)

    return apply


PETS = "oxford_pets/split_zhou_OxfordPets.json"
A = "imagenet-adversarial"
VAL = "imagenet/images/val"
AIR = "fgvc_aircraft/images_variant_train.txt"


def put(place: object, label: object, name: object) -> Callable[[Path], None]:
    return edit(PETS, lambda split: split["val"].append([place, label, name]))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("OxfordPets", lambda r: (r / PETS).write_text('{"train": [['), "not a readable JSON file"),
        ("OxfordPets", lambda r: (r / PETS).write_text("[" * 9000), "not a readable JSON file"),
        ("OxfordPets", lambda r: (r / PETS).write_bytes(b"\xff\xfe{}"), "is not UTF-8"),
        ("OxfordPets", lambda r: (r / PETS).write_text("[]"), "lists named train, val and test"),
        ("OxfordPets", edit(PETS, lambda s: s.pop("val")), "lists named train, val and test"),
        ("OxfordPets", edit(PETS, lambda s: [s[k].clear() for k in s]), "lists no images"),
        ("OxfordPets", put("/etc/passwd", 0, "green_cup"), "below its folder, found '/etc/passwd'"),
        ("OxfordPets", put("a/../../b.jpg", 0, "green_cup"), "paths of images below its folder"),
        ("OxfordPets", put("a.jpg", "0", "green_cup"), "with a whole number for the label"),
        ("OxfordPets", put("a.jpg", True, "green_cup"), "with a whole number for the label"),
        ("OxfordPets", put("a.jpg", -1, "green_cup"), "with a whole number for the label"),
        ("OxfordPets", put("a.jpg", 1.5, "green_cup"), "with a whole number for the label"),
        ("OxfordPets", put(7, 0, "green_cup"), r"val should list \[path, label, class name\]"),
        ("OxfordPets", put("a.jpg", 0, None), r"val should list \[path, label, class name\]"),
        ("OxfordPets", put("a.jpg", 0, "mug"), "label 0 has two names, 'green_cup', 'mug'"),
        ("OxfordPets", put("a.jpg", 9, "a\x1b[2J"), r"control characters, found 'a\\x1b"),
        ("OxfordPets", put("a\n.jpg", 0, "green_cup"), "control characters"),
        ("OxfordPets", put("a.jpg", 9, "_"), "a class has an empty name"),
        ("FGVCAircraft", append(AIR, "000 A300\n"), "line 25 of .*expected a variant.* 'A300'"),
        ("FGVCAircraft", append(AIR, "000\n"), "line 25 of .*expected two words"),
        ("FGVCAircraft", append(AIR, "../a DHC-6\n"), "paths of images below its folder"),
        ("FGVCAircraft", append("fgvc_aircraft/variants.txt", "DHC-6\n"), "'DHC-6' twice"),
        ("FGVCAircraft", lambda r: (r / AIR).unlink(), "there is no .*variant_train.txt"),
        ("ImageNet-A", lambda r: (r / A / "classnames.txt").unlink(), "is no"),
        ("ImageNet-A", lambda r: (r / A / "imagenet-a/n1").mkdir(), "no names for"),
        ("ImageNet", lambda r: shutil.rmtree(r / "imagenet/images/train"), "no .*images/train"),
        ("ImageNet", lambda r: [shutil.rmtree(each) for each in (r / VAL).iterdir()],
                     "should hold a folder for each class, found none"),
        ("ImageNet", append("imagenet/classnames.txt", "n01440764 fish\n"), "has a line already"),
        ("ImageNet", append("imagenet/classnames.txt", "n09\n"), "expected two words"),
        ("ImageNetV2", lambda r: [d / "9" for d in (r / "imagenetv2").iterdir() if d.is_dir()
                                  and (d / "9").mkdir() is None], "should hold folders 0 to 4"),
    ],
)  # fmt: skip
def test_damage(name: str, damage: Callable[[Path], object], words: str, data: Path) -> None:
    damage(data)
    with pytest.raises(TaskError, match=words) as error:
        load_task(f"coop/{name}", data)
    assert str(error.value).isprintable()


def test_what_is_odd_is_told(data: Path) -> None:
    append("imagenet-rendition/imagenet-r/n01440764/notes", "mine")(data)
    with pytest.warns(DplWarning, match="1 files are no images that can be read.*/notes'"):
        load_task("coop/ImageNet-R", data)
    textures = "dtd/split_zhou_DescribableTextures.json"
    edit(textures, lambda split: split["test"].append(split["train"][0]))(data)
    with pytest.warns(DplWarning, match="lists 1 images for training and for the test"):
        load_task("coop/DescribableTextures", data)
    edit(PETS, lambda split: split["val"].append(split["val"][0]))(data)
    with pytest.warns(DplWarning, match="lists 1 images twice"):
        load_task("coop/OxfordPets", data)


def test_a_file_that_is_not_there_is_told_before_it_is_used(data: Path) -> None:
    (data / "oxford_pets/images/red_pea/test_0.jpg").unlink()
    (data / "oxford_pets/images/red_pea/val_0.jpg").write_bytes(b"")
    task = load_task("coop/OxfordPets", data)
    words = r"val_0\.jpg is not .*; .*test_0\.jpg is not a readable image \(it does not exist"
    with pytest.raises(TaskError, match=words):
        check_images(task, range(len(task.pool.labels)))


def test_a_large_split_loads_fast(tmp_path: Path) -> None:
    """As large as Food-101's; no image is there, as none is read."""
    items = [[f"dish_{n % 101}/{n}.jpg", n % 101, f"dish_{n % 101}"] for n in range(101_000)]
    split = {"train": items[:50500], "val": items[50500:70700], "test": items[70700:]}
    (tmp_path / "food-101" / "images").mkdir(parents=True)
    (tmp_path / "food-101" / "split_zhou_Food101.json").write_text(json.dumps(split, indent=4))
    started = time.process_time()
    task = load_task("coop/Food101", tmp_path)
    assert time.process_time() - started < 2
    assert len(select_places(task, 16, 1)[0]) == 16 * 101
