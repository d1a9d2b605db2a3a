"""A user's own images: labels as they are written, and the share for the test."""

from pathlib import Path

import pytest
from PIL import Image

from dpl_nas.errors import DplWarning
from dpl_nas.tasks import load_task
from dpl_nas.tasks.class_parts import take_classes
from dpl_nas.tasks.own import load_own


def test_labels_are_the_users_own(image_folder: Path) -> None:
    task = load_task(image_folder)
    assert task.class_labels == ("dark_square", "grey", "white")
    assert task.class_names == ("dark square", "grey", "white")
    assert task.background == "white"
    assert take_classes(task, "new").class_labels == ("white",)
    assert load_task("mini/digits").class_labels == load_task("mini/digits").class_names


def test_the_share_for_the_test_can_be_none(image_folder: Path) -> None:
    folder = image_folder / "train"
    whole = load_own(folder, test_share=0.0)
    assert (len(whole.train.labels), len(whole.test.labels)) == (30, 0)
    with pytest.warns(DplWarning, match="6 of 30 images, 20% of each class"):
        fifth = load_own(folder, test_share=0.2)
    assert (len(fifth.train.labels), len(fifth.test.labels)) == (24, 6)
    # A test set that is there is the test set.
    assert len(load_own(image_folder, test_share=0.0).test.labels) == 60


def test_a_class_called_train_is_told(tmp_path: Path) -> None:
    for number, name in enumerate(("bus", "train", "tram")):
        (tmp_path / name).mkdir()
        for index in range(2):
            place = tmp_path / name / f"{index}.png"
            Image.new("RGB", (8, 8), (40 * number, 90 * index, 9)).save(place)
    with pytest.warns(DplWarning, match="'train' is a class here"):
        task = load_own(tmp_path, test_share=0.0)
    assert task.class_labels == ("bus", "train", "tram")
    assert len(task.train.labels) == 6
