import json
import random
from pathlib import Path

import numpy as np
import pytest

from dpl_nas.errors import ConfigError, DplWarning, TaskError
from dpl_nas.mini.captions import DIGIT_NAMES
from dpl_nas.tasks import Task, draw_shots, few_shot_split, load_task, tell_small_classes
from dpl_nas.tasks.mini import MemoryImages

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "fewshot.json"


def test_shots_are_disjoint_from_extra_validation(image_folder: Path) -> None:
    task = load_task(image_folder)
    split = few_shot_split(task, 6, seed=1, validation="extra")
    assert len(split.train) == 18
    assert split.train == split.shots
    assert len(split.validation) == 12  # min(shots, 4) a class
    assert not set(split.train) & set(split.validation)


def test_a_split_sees_no_label_beyond_the_shots(image_folder: Path) -> None:
    task = load_task(image_folder)
    split = few_shot_split(task, 6, seed=1, validation="split")
    assert set(split.train) | set(split.validation) == set(split.shots)
    assert not set(split.train) & set(split.validation)
    for part in (split.train, split.validation):
        labels = [task.train.labels[index] for index in part]
        assert [labels.count(label) for label in range(3)] == [3, 3, 3]


def test_the_seed_decides(image_folder: Path) -> None:
    task = load_task(image_folder)
    assert few_shot_split(task, 4, 1) == few_shot_split(task, 4, 1)
    assert few_shot_split(task, 4, 1) != few_shot_split(task, 4, 2)


@pytest.mark.parametrize(
    ("shots", "validation", "words"),
    [
        (11, "none", "has 10 training images"),
        (8, "extra", "more to validate"),
        (1, "split", "2 shots or more"),
    ],
)
def test_too_few_images(image_folder: Path, shots: int, validation: str, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        few_shot_split(load_task(image_folder), shots, 1, validation)  # type: ignore[arg-type]


def task_of(*counts: int) -> Task:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    images = MemoryImages(np.zeros((len(labels), 2, 2, 3), np.uint8), labels)
    names = tuple(DIGIT_NAMES[: len(counts)])
    return Task("own", names, "a {}.", train=images, test=images)


def test_images_to_validate_on_are_counted(image_folder: Path) -> None:
    for validation in ("split", "extra"):
        with pytest.raises(ConfigError, match="validation_shots should be a whole number of 0 or"):
            few_shot_split(load_task(image_folder), 4, 1, validation, -1)


def test_small_classes_give_what_they_have() -> None:
    task = task_of(9, 3, 1)
    split = few_shot_split(task, 8, 1, "split")
    counts = [
        [[task.train.labels[row] for row in part].count(label) for label in range(3)]
        for part in (split.shots, split.train, split.validation)
    ]
    assert counts == [[8, 3, 1], [4, 2, 1], [4, 1, 0]]
    assert len(few_shot_split(task, 8, 1).train) == 12
    with pytest.warns(
        DplWarning, match="2 of 3 classes have fewer than 8 .* smallest class has 1: 'one'"
    ):
        tell_small_classes(task, 8)
    tell_small_classes(task, 1)


def test_a_class_without_images() -> None:
    with pytest.raises(TaskError, match="class 'one' has 0 training images: add some"):
        few_shot_split(task_of(4, 0), 2, 1)


def test_every_class_trains_and_none_beyond_its_images() -> None:
    for shots in range(2, 9):
        for validation in range(1, shots):
            split = few_shot_split(task_of(*range(1, 9)), shots, 1, "split", validation)
            assert sorted(split.train + split.validation) == sorted(split.shots)
            labels = {task_of(*range(1, 9)).train.labels[row] for row in split.train}
            assert labels == set(range(8))


def test_the_draw_is_coops() -> None:
    """By the definition: one generator, class by class in order of first appearance."""
    labels = [2, 0, 2, 1, 0, 1, 2, 0, 1, 2]
    drawn = draw_shots(labels, 2, random.Random(7))
    reference = random.Random(7)
    assert list(drawn) == [2, 0, 1]
    for label in (2, 0, 1):
        items = [index for index, found in enumerate(labels) if found == label]
        assert drawn[label] == reference.sample(items, 2)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the reference selections are not at hand")
def test_the_selections_that_published_numbers_share() -> None:
    golden = json.loads(GOLDEN.read_text())
    train, validation = golden["split"]["train"], golden["split"]["val"]
    for name, expected in golden["selections"].items():
        seed, shots = (int(part.strip("sedhot")) for part in name.split("_"))
        generator = random.Random(seed)
        for items, count, part in ((train, shots, "train"), (validation, min(shots, 4), "val")):
            drawn = draw_shots([item[1] for item in items], count, generator)
            found = [items[index][0] for indices in drawn.values() for index in indices]
            assert found == expected[part]
